//! What a JavaScript runtime runs.

use super::{Command, Found, basename, project, stem};

const WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--input-type",
    "--inspect-port",
];
const ENDINGS: &[&str] = &[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx"];
/// Names that say nothing: every project has such a script.
const GENERIC: &[&str] = &["index", "server", "main", "app", "start", "www", "bootstrap", "run"];
/// Programs that run another script.
const RUNNERS: &[&str] = &["ts-node", "ts-node-dev", "tsx", "nodemon", "babel-node", "esno"];

pub(super) fn of(command: &Command) -> Found {
    if let Some(name) = command.rest().iter().find_map(|a| a.strip_prefix("--title=")) {
        return Found::Name(name.to_owned());
    }
    // `npm start` as a title: one word with the arguments in it.
    if let [title] = command.args.as_slice()
        && let Some((tool @ ("npm" | "npx"), rest)) = title.split_once(' ')
    {
        let rest: Vec<String> = rest.split(' ').map(str::to_owned).collect();
        return package_runner(command, tool, &rest);
    }
    plain(command, command.rest(), 2)
}

fn plain(command: &Command, args: &[String], depth: u8) -> Found {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        match arg.as_str() {
            "-e" | "--eval" | "-p" | "--print" | "-pe" | "-" => return Found::Nothing,
            with if WITH_VALUE.contains(&with) => at += 1,
            option if option.starts_with('-') => {}
            path => return script(command, path, args.get(at..).unwrap_or_default(), depth),
        }
    }
    Found::Nothing
}

fn script(command: &Command, path: &str, rest: &[String], depth: u8) -> Found {
    let stem = stem(path, ENDINGS);
    match stem {
        "npm" | "npm-cli" => return package_runner(command, "npm", rest),
        "npx" | "npx-cli" => return package_runner(command, "npx", rest),
        "yarn" | "pnpm" => return package_runner(command, stem, rest),
        runner if RUNNERS.contains(&runner) && depth > 0 => {
            return plain(command, rest, depth - 1);
        }
        _ => {}
    }
    // A package's own program: node_modules/next/dist/bin/next, node_modules/.bin/next.
    if let Some((_, inside)) = path.rsplit_once("node_modules/") {
        let mut parts = inside.split('/');
        let package = match (parts.next(), parts.next()) {
            (Some(".bin"), Some(bin)) => super::stem(bin, ENDINGS).to_owned(),
            (Some(scope), Some(name)) if scope.starts_with('@') => format!("{scope}/{name}"),
            (Some(name), _) => name.to_owned(),
            (None, _) => stem.to_owned(),
        };
        return Found::Name(package);
    }
    // `node .` starts the project it stands in.
    if matches!(basename(path), "." | "..") || path.ends_with('/') {
        return Found::Project(project(&format!("{path}/x"), command.cwd()), String::new());
    }
    if GENERIC.contains(&stem) {
        return Found::Project(project(path, command.cwd()), stem.to_owned());
    }
    Found::Name(stem.to_owned())
}

/// `npm start` is the project's; `npx serve`, `npm exec serve` are the program's.
fn package_runner(command: &Command, tool: &str, rest: &[String]) -> Found {
    let mut words = rest.iter().map(String::as_str).filter(|a| !a.starts_with('-'));
    let program = match tool {
        "npx" => words.next(),
        _ => match words.next() {
            Some("exec" | "x" | "dlx") => words.next(),
            _ => None,
        },
    };
    match program {
        Some(program) => {
            let name = match program.char_indices().skip(1).find(|(_, c)| *c == '@') {
                Some((at, _)) => program.get(..at).unwrap_or(program),
                None => program,
            };
            Found::Name(name.to_owned())
        }
        None => Found::Project(project("x", command.cwd()), tool.to_owned()),
    }
}

pub(super) fn of_bun(command: &Command) -> Found {
    let args = command.rest();
    let mut words = args.iter().map(String::as_str).filter(|a| !a.starts_with('-'));
    match words.next() {
        Some("run") => match words.next() {
            Some(path) if path.contains(['.', '/']) => script(command, path, &[], 0),
            _ => Found::Project(project("x", command.cwd()), "bun".to_owned()),
        },
        Some("x") => words.next().map_or(Found::Nothing, |p| Found::Name(p.to_owned())),
        Some(path) if path.contains(['.', '/']) => script(command, path, &[], 0),
        Some(_) => Found::Project(project("x", command.cwd()), "bun".to_owned()),
        None => Found::Nothing,
    }
}

pub(super) fn of_deno(command: &Command) -> Found {
    let args = command.rest();
    let mut words = args.iter().map(String::as_str).filter(|a| !a.starts_with('-'));
    match words.next() {
        Some("run" | "serve") => match words.find(|w| w.contains(['.', '/'])) {
            Some(path) => script(command, path, &[], 0),
            None => Found::Nothing,
        },
        Some("task") => Found::Project(project("x", command.cwd()), "deno".to_owned()),
        Some(path) if path.contains(['.', '/']) => script(command, path, &[], 0),
        _ => Found::Nothing,
    }
}
