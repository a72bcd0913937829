//! A sensible name for a service, from nothing but how its program was started.
//!
//! The executable's name; for interpreters and virtual machines what they run. The same command
//! line gives the same name whether it came with an exec record or was read from `/proc` later:
//! else a service of short-lived processes would fall in two.

mod beam;
mod dotnet;
mod java;
mod node;
mod php;
mod python;
mod ruby;
mod script;
mod shell;
mod title;

#[cfg(test)]
mod tests;

use crate::host::text::{basename, pieces, text};

/// How a program was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `comm`.
    pub comm: String,
    /// The executable's path, where it is known.
    pub exe: Option<String>,
    /// The working directory, where it is known.
    pub cwd: Option<String>,
    /// The command line.
    pub args: Vec<String>,
}

impl Command {
    /// From a NUL-separated command line.
    pub fn new(comm: &str, exe: Option<&str>, cwd: Option<&str>, args: &[u8]) -> Self {
        // A program that wrote a title over its arguments left NULs behind it.
        let end = args.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let args = args.get(..end).unwrap_or_default();
        Self {
            comm: comm.to_owned(),
            exe: exe.map(str::to_owned),
            cwd: cwd.map(str::to_owned),
            args: if args.is_empty() { Vec::new() } else { pieces(args).map(text).collect() },
        }
    }

    /// The same program wrapped by another: what follows `args[from]`.
    fn inner(&self, args: Vec<String>) -> Self {
        Self { comm: String::new(), exe: None, cwd: self.cwd.clone(), args }
    }

    fn rest(&self) -> &[String] {
        self.args.get(1..).unwrap_or_default()
    }

    fn cwd(&self) -> Option<&str> {
        self.cwd.as_deref()
    }
}

/// What a command line gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The service's name; `None` if there is nothing to go by.
    pub name: Option<String>,
    /// The executable's name, as it was invoked.
    pub executable: String,
    /// The runtime's language as `telemetry.sdk.language` has it.
    pub language: Option<&'static str>,
    /// The name would be better if the working directory were known.
    pub wants_cwd: bool,
}

/// Interpreters and virtual machines, and what stands before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Java,
    Node,
    Bun,
    Deno,
    Python,
    Ruby,
    Php,
    PhpFpm,
    Dotnet,
    Mono,
    Beam,
    Perl,
    /// Any other interpreter whose first plain argument is its script.
    Script,
    Shell,
    Wrapper,
}

impl Runtime {
    fn of(stem: &str) -> Option<Self> {
        Some(match stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "java" | "javaw" => Self::Java,
            "node" | "nodejs" | "iojs" => Self::Node,
            "bun" => Self::Bun,
            "deno" => Self::Deno,
            "python" | "pypy" => Self::Python,
            "ruby" | "jruby" | "truffleruby" => Self::Ruby,
            "php" | "php-cgi" => Self::Php,
            "php-fpm" => Self::PhpFpm,
            "dotnet" => Self::Dotnet,
            "mono" | "mono-sgen" => Self::Mono,
            "beam.smp" | "beam" => Self::Beam,
            "perl" => Self::Perl,
            "lua" | "luajit" | "Rscript" | "tclsh" | "guile" | "groovy" | "escript" => Self::Script,
            "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "fish" => Self::Shell,
            "env" | "nohup" | "nice" | "setsid" | "tini" | "dumb-init" | "catatonit"
            | "timeout" | "stdbuf" | "gosu" | "su-exec" | "sudo" | "doas" | "setpriv"
            | "ionice" | "busybox" => Self::Wrapper,
            _ => return None,
        })
    }

    fn language(self) -> Option<&'static str> {
        Some(match self {
            Self::Java => "java",
            Self::Node => "nodejs",
            Self::Python => "python",
            Self::Ruby => "ruby",
            Self::Php | Self::PhpFpm => "php",
            Self::Dotnet | Self::Mono => "dotnet",
            Self::Beam => "erlang",
            _ => return None,
        })
    }
}

/// The name of the service that `command` starts.
pub fn name(command: &Command) -> Named {
    nested(command, 4)
}

fn nested(command: &Command, depth: u8) -> Named {
    let executable = executable(command);
    let stem = plain(&executable);
    let runtime = Runtime::of(stem);
    let mut named = Named {
        name: None,
        executable: executable.clone(),
        language: runtime.and_then(Runtime::language),
        wants_cwd: false,
    };
    let found = match (title::of(command, &executable), runtime) {
        (Some(title), _) => Found::Name(title),
        (None, None) => Found::Nothing,
        (None, Some(runtime)) => match runtime {
            Runtime::Java => java::of(command),
            Runtime::Node => node::of(command),
            Runtime::Bun => node::of_bun(command),
            Runtime::Deno => node::of_deno(command),
            Runtime::Python => python::of(command),
            Runtime::Ruby => ruby::of(command),
            Runtime::Php => php::of(command),
            Runtime::PhpFpm => Found::Name("php-fpm".to_owned()),
            Runtime::Dotnet => dotnet::of(command),
            Runtime::Mono => dotnet::of_mono(command),
            Runtime::Beam => beam::of(command),
            Runtime::Perl => script::of_perl(command),
            Runtime::Script => script::of(command),
            Runtime::Shell => shell::of(command, depth),
            Runtime::Wrapper => shell::of_wrapper(command, depth),
        },
    };
    let fallback = match runtime {
        // `python3.11` and `python3` without a script are one.
        Some(_) if !stem.starts_with("beam") => {
            stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
        }
        Some(_) => "erlang",
        None => stem,
    };
    match found {
        // `bash /dev/fd/3`
        Found::Name(name) if name.bytes().all(|b| b.is_ascii_digit()) && !fallback.is_empty() => {
            named.name = Some(fallback.to_owned());
        }
        Found::Name(name) | Found::Project(Some(name), _) => named.name = Some(name),
        Found::Project(None, or) => {
            named.wants_cwd = command.cwd.is_none();
            named.name = Some(if or.is_empty() { fallback.to_owned() } else { or });
        }
        Found::Nothing if !fallback.is_empty() => named.name = Some(fallback.to_owned()),
        Found::Nothing => {}
    }
    named.name = named.name.map(|name| text(name.as_bytes())).filter(|name| !name.is_empty());
    named
}

/// What a runtime's arguments gave.
#[derive(Debug)]
enum Found {
    /// A name.
    Name(String),
    /// The name of the project's directory, else the text; empty for the runtime's own.
    Project(Option<String>, String),
    /// Nothing: the runtime's own name will do.
    Nothing,
}

/// The name the program was invoked by.
///
/// That is the command line's first word where `comm` agrees with it (or with the script behind it, as a
/// `#!` line has it); else the executable's own name: a main thread may have renamed itself, and a
/// title may have been written over the arguments.
fn executable(command: &Command) -> String {
    let Command { comm, exe, cwd: _, args } = command;
    let first = args.first().map_or("", |a| basename(a.trim_start_matches('-')));
    // A program that was started from memory or by a descriptor has no name but what it was called.
    let is_name = |name: &str| {
        !name.is_empty() && !name.starts_with("memfd:") && !name.bytes().all(|b| b.is_ascii_digit())
    };
    let exe = exe.as_deref().map(basename).filter(|e| is_name(e));
    let agrees = |word: &str| {
        !word.is_empty()
            && !word.contains(' ')
            && (word == comm || (comm.len() >= 15 && word.starts_with(comm.as_str())))
    };
    let by_script = || args.iter().skip(1).take(2).any(|a| agrees(basename(a)));
    if agrees(first) || exe == Some(first) || (!first.contains(' ') && by_script()) {
        return first.to_owned();
    }
    if let Some(exe) = exe {
        return exe.to_owned();
    }
    if !is_name(comm) && !first.is_empty() && !first.contains(' ') {
        return first.to_owned();
    }
    // A kernel thread: `kworker/0:1`.
    let comm = comm.split(['/', ' ']).next().unwrap_or(comm).trim_matches(['(', ')', '[', ']']);
    if comm.is_empty() { first.to_owned() } else { comm.to_owned() }
}

/// A name without the version behind it: `myapp-1.2.3`, `python3.11`, `php-fpm8.2`.
fn plain(name: &str) -> &str {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let version = name.get(bare.len()..).unwrap_or_default();
    let (bare, is_version) = match bare.strip_suffix("-v").or_else(|| bare.strip_suffix("_v")) {
        Some(bare) => (bare, true),
        None => (bare.trim_end_matches(['-', '_']), version.contains('.')),
    };
    let is_version = is_version && version.starts_with(|c: char| c.is_ascii_digit());
    if is_version && !bare.is_empty() { bare } else { name }
}

/// The script's name without its ending.
fn stem<'a>(path: &'a str, endings: &[&str]) -> &'a str {
    let base = basename(path);
    endings
        .iter()
        .find_map(|ending| base.strip_suffix(ending))
        .filter(|stem| !stem.is_empty())
        .unwrap_or(base)
}

/// Whether a path ends so, and not only consists of it.
fn ends(path: &str, ending: &str) -> bool {
    path.len() > ending.len() && path.ends_with(ending)
}

/// Directories that every project has, or none owns.
const PARTS: &[&str] = &[
    "app", "bin", "build", "cmd", "current", "dist", "lib", "out", "public", "release", "script",
    "scripts", "server", "src", "target", "www",
];
const SYSTEM: &[&str] = &[
    "code",
    "data",
    "etc",
    "home",
    "html",
    "local",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "share",
    "srv",
    "tmp",
    "usr",
    "var",
    "workspace",
];

/// The name of the directory that holds the project of a script.
fn project(script: &str, cwd: Option<&str>) -> Option<String> {
    let joined;
    let path = match cwd {
        Some(cwd) if !script.starts_with('/') => {
            joined = format!("{cwd}/{script}");
            &joined
        }
        _ => script,
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.pop();
    while parts.last().is_some_and(|p| PARTS.contains(p)) {
        parts.pop();
    }
    let name = parts.pop()?;
    let owner = parts.last().copied().unwrap_or_default();
    let anonymous = SYSTEM.contains(&name)
        || name.starts_with('.')
        || owner == "home"
        || owner == "tmp"
        || name == "node_modules";
    (!anonymous).then(|| name.to_owned())
}
