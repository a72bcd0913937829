//! Programs that stand before others: `sh -c`, `env`, `tini`.

use super::{Command, Found, nested, stem};

/// First words after which a shell's command line is the shell's own affair.
const OWN: &[&str] = &[
    "!", "(", ".", ":", "[", "[[", "case", "cat", "cp", "echo", "eval", "export", "for", "if",
    "ls", "mkdir", "printf", "read", "rm", "set", "sleep", "source", "test", "trap", "true",
    "ulimit", "umask", "until", "while", "{",
];

pub(super) fn of(command: &Command, depth: u8) -> Found {
    let mut args = command.rest().iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            long if long.starts_with("--") => {}
            flags if flags.starts_with(['-', '+']) => {
                if flags.contains('c') {
                    return args.next().map_or(Found::Nothing, |line| inline(command, line, depth));
                }
                if flags.ends_with('o') || flags.ends_with('O') {
                    args.next();
                }
            }
            path => return Found::Name(stem(path, &[".sh", ".bash"]).to_owned()),
        }
    }
    Found::Nothing
}

/// The first command of a line, if it is a plain one.
fn inline(command: &Command, line: &str, depth: u8) -> Found {
    let mut rest = line.trim_start();
    // `cd /srv/shop && exec node server.js`
    if let Some(after) = rest.strip_prefix("cd ")
        && let Some(at) = after.find(['&', ';', '\n'])
    {
        let after = after.get(at..).unwrap_or_default();
        rest = after.trim_start_matches(['&', ';', '\n', ' ']);
    }
    let end = rest.find(['|', ';', '&', '\n', '<', '>', '`', '$']).unwrap_or(rest.len());
    let words = rest.get(..end).unwrap_or_default().split_ascii_whitespace();
    let words: Vec<String> = words
        .map(|word| word.trim_matches(['"', '\'']).to_owned())
        .skip_while(|word| word == "exec" || is_assignment(word))
        .collect();
    match words.first() {
        Some(first) if !OWN.contains(&first.as_str()) => within(command, words, depth),
        _ => Found::Nothing,
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

pub(super) fn of_wrapper(command: &Command, depth: u8) -> Found {
    let wrapper = command.args.first().map_or("", |a| super::basename(a));
    let with_value: &[&str] = match wrapper {
        "env" => &["-u", "-C", "-S"],
        "nice" | "ionice" => &["-n", "-c", "-p"],
        "timeout" => &["-k", "-s", "--signal", "--kill-after"],
        "sudo" | "doas" => &["-u", "-g", "-h", "-p", "-C", "-D", "--user", "--group"],
        "stdbuf" => &["-i", "-o", "-e"],
        "tini" => &["-p", "-e"],
        _ => &[],
    };
    // A duration, a user: words of the wrapper itself.
    let mut own = usize::from(matches!(wrapper, "timeout" | "gosu" | "su-exec"));
    let mut args = command.rest().iter();
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        if with_value.contains(&arg.as_str()) {
            args.next();
        } else if arg.starts_with('-') || is_assignment(arg) {
        } else if own > 0 {
            own -= 1;
        } else {
            words.push(arg.clone());
            words.extend(args.cloned());
            break;
        }
    }
    if words.is_empty() { Found::Nothing } else { within(command, words, depth) }
}

fn within(command: &Command, words: Vec<String>, depth: u8) -> Found {
    let Some(depth) = depth.checked_sub(1) else { return Found::Nothing };
    let named = nested(&command.inner(words), depth);
    match named.name {
        Some(name) if named.wants_cwd => Found::Project(None, name),
        Some(name) => Found::Name(name),
        None => Found::Nothing,
    }
}
