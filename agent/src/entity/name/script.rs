//! Interpreters whose first plain argument is their script.

use super::{Command, Found, stem};

const ENDINGS: &[&str] = &[".pl", ".psgi", ".lua", ".R", ".tcl", ".scm", ".groovy", ".escript"];

pub(super) fn of(command: &Command) -> Found {
    first(command, &[], &["-e"])
}

pub(super) fn of_perl(command: &Command) -> Found {
    first(command, &["-I"], &["-e", "-E"])
}

fn first(command: &Command, with_value: &[&str], inline: &[&str]) -> Found {
    let mut args = command.rest().iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            code if inline.contains(&code) => return Found::Nothing,
            option if with_value.contains(&option) => {
                args.next();
            }
            option if option.starts_with('-') => {}
            path => return Found::Name(stem(path, ENDINGS).to_owned()),
        }
    }
    Found::Nothing
}
