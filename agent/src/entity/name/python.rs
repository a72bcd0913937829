//! What a Python interpreter runs: a script, a module, or the application of a server.

use super::{Command, Found, project, stem};

const ENDINGS: &[&str] = &[".py", ".pyc", ".pyz", ".pyw"];
/// Last parts of a module path that say nothing.
const GENERIC: &[&str] = &["wsgi", "asgi", "main", "app", "application", "server", "__main__"];

pub(super) fn of(command: &Command) -> Found {
    let args = command.rest();
    let mut at = 0;
    while let Some(arg) = args.get(at).map(String::as_str) {
        at += 1;
        let rest = args.get(at..).unwrap_or_default();
        match arg {
            "-W" | "-X" | "--check-hash-based-pycs" => at += 1,
            "-" => return Found::Nothing,
            long if long.starts_with("--") => {}
            flags if flags.starts_with('-') => {
                // `-um pkg.mod`: flags in one word, the last may take the rest.
                match flags.find(['m', 'c']).map(|i| flags.split_at(i)) {
                    Some((_, c)) if c.starts_with('c') => return Found::Nothing,
                    Some((_, m)) => {
                        let attached = m.get(1..).filter(|m| !m.is_empty());
                        let Some(module) = attached.or(rest.first().map(String::as_str)) else {
                            return Found::Nothing;
                        };
                        let skip = usize::from(attached.is_none());
                        return of_module(command, module, rest.get(skip..).unwrap_or_default());
                    }
                    None => {}
                }
            }
            path => return of_script(command, path, rest),
        }
    }
    Found::Nothing
}

fn of_module(command: &Command, module: &str, rest: &[String]) -> Found {
    let module = module.strip_suffix(".__main__").unwrap_or(module);
    of_launcher(command, module, rest).unwrap_or_else(|| Found::Name(module.to_owned()))
}

fn of_script(command: &Command, path: &str, rest: &[String]) -> Found {
    let stem = stem(path, ENDINGS);
    if let Some(found) = of_launcher(command, stem, rest) {
        return found;
    }
    match stem {
        // Every Django project has the one, every package the other.
        "manage" | "__main__" => Found::Project(project(path, command.cwd()), stem.to_owned()),
        stem => Found::Name(stem.to_owned()),
    }
}

/// Programs that run someone's application.
fn of_launcher(command: &Command, launcher: &str, rest: &[String]) -> Option<Found> {
    let plain = launcher.trim_end_matches(|c: char| c.is_ascii_digit());
    let app = match plain {
        "gunicorn" => option(rest, &["-n", "--name"]).or_else(|| positional(rest)),
        "uvicorn" | "hypercorn" | "daphne" | "granian" | "waitress-serve" | "waitress" => {
            positional(rest)
        }
        "celery" | "flask" => option(rest, &["-A", "--app"]),
        "streamlit" | "fastapi" => {
            rest.iter().find(|a| super::ends(a, ".py")).map(|path| stem(path, ENDINGS))
        }
        "debugpy" | "coverage" | "ddtrace-run" | "opentelemetry-instrument" => {
            return Some(wrapped(command, rest));
        }
        _ => return None,
    };
    Some(Found::Name(app.map_or(plain, module).to_owned()))
}

/// `opentelemetry-instrument python app.py`, `coverage run app.py`.
fn wrapped(command: &Command, rest: &[String]) -> Found {
    match rest.iter().find(|a| super::ends(a, ".py")) {
        Some(path) => of_script(command, path, &[]),
        None => Found::Nothing,
    }
}

fn option<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if names.contains(&arg.as_str()) {
            return args.next().map(String::as_str);
        }
        if let Some((name, value)) = arg.split_once('=')
            && names.contains(&name)
        {
            return Some(value);
        }
    }
    None
}

/// `module:attribute` anywhere, else a module as the last word that is no option's value.
fn positional(args: &[String]) -> Option<&str> {
    let with_attribute = args.iter().find(|a| {
        a.split_once(':').is_some_and(|(module, attribute)| {
            is_path(module) && is_path(attribute.trim_end_matches("()"))
        })
    });
    if let Some(app) = with_attribute {
        return Some(app);
    }
    let (last, before) = args.split_last()?;
    let is_value = before.last().is_some_and(|b| b.starts_with('-') && !b.contains('='));
    (is_path(last) && !is_value).then_some(last)
}

fn is_path(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

/// The telling part of `shop.wsgi:application`.
pub(super) fn module(app: &str) -> &str {
    let mut module = app.split(':').next().unwrap_or(app);
    while let Some((front, last)) = module.rsplit_once('.')
        && GENERIC.contains(&last)
    {
        module = front;
    }
    module
}
