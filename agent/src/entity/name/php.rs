//! What the PHP command line runs.

use super::{Command, Found, project, stem};

pub(super) fn of(command: &Command) -> Found {
    let args = command.rest();
    let mut at = 0;
    while let Some(arg) = args.get(at).map(String::as_str) {
        at += 1;
        match arg {
            "-r" => return Found::Nothing,
            "-S" | "-t" | "-c" | "-d" | "-z" => at += 1,
            "-f" | "-F" => {}
            option if option.starts_with('-') => {}
            path => {
                let stem = stem(path, &[".php", ".phar"]);
                return match stem {
                    "artisan" | "console" | "index" => {
                        Found::Project(project(path, command.cwd()), stem.to_owned())
                    }
                    stem => Found::Name(stem.to_owned()),
                };
            }
        }
    }
    Found::Nothing
}
