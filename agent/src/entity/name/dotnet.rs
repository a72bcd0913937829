//! What the .NET host and Mono run: an assembly.

use super::{Command, Found, project, stem};

const ENDINGS: &[&str] = &[".dll", ".exe", ".csproj", ".fsproj", ".vbproj"];

pub(super) fn of(command: &Command) -> Found {
    let args = command.rest();
    let assembly = args.iter().take_while(|a| *a != "--").find(|a| super::ends(a, ".dll"));
    if let Some(path) = assembly {
        return Found::Name(stem(path, ENDINGS).to_owned());
    }
    match args.first().map(String::as_str) {
        Some("run" | "watch") => {
            let mut rest = args.iter();
            let given = rest.find(|a| *a == "--project" || *a == "-p").and_then(|_| rest.next());
            match given {
                Some(path) => Found::Name(stem(path, ENDINGS).to_owned()),
                None => Found::Project(project("x", command.cwd()), String::new()),
            }
        }
        _ => Found::Nothing,
    }
}

pub(super) fn of_mono(command: &Command) -> Found {
    match command.rest().iter().find(|a| !a.starts_with('-')) {
        Some(path) => Found::Name(stem(path, ENDINGS).to_owned()),
        None => Found::Nothing,
    }
}
