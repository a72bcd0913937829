//! What a Ruby interpreter runs.

use super::{Command, Found, project, stem};

const ENDINGS: &[&str] = &[".rb", ".ru"];

pub(super) fn of(command: &Command) -> Found {
    let args = command.rest();
    let mut at = 0;
    while let Some(arg) = args.get(at).map(String::as_str) {
        at += 1;
        match arg {
            "-e" => return Found::Nothing,
            "-r" | "-I" | "-C" => at += 1,
            option if option.starts_with('-') => {}
            path => return script(command, path, args.get(at..).unwrap_or_default()),
        }
    }
    Found::Nothing
}

fn script(command: &Command, path: &str, rest: &[String]) -> Found {
    let stem = stem(path, ENDINGS);
    match stem {
        "bundle" | "bundler" => match rest.iter().position(|a| a == "exec") {
            Some(at) => match rest.get(at + 1..).and_then(|r| r.split_first()) {
                Some((path, rest)) if path != "ruby" => script(command, path, rest),
                Some((_, [path, rest @ ..])) => script(command, path, rest),
                _ => Found::Nothing,
            },
            None => Found::Name(stem.to_owned()),
        },
        // puma's own title ends with the directory it was started in.
        "puma" | "rails" | "rackup" | "config" => {
            let tag = rest.iter().position(|a| a == "--tag").and_then(|at| rest.get(at + 1));
            if let Some(tag) = tag {
                return Found::Name(tag.clone());
            }
            let is_own = path.starts_with('/') && !path.starts_with("/usr/") && stem != "puma";
            let of_path = if is_own { project(path, None) } else { None };
            Found::Project(of_path.or_else(|| project("x", command.cwd())), stem.to_owned())
        }
        stem => Found::Name(stem.to_owned()),
    }
}
