//! The command line: verbs, flags and what their help teaches. Every flag that has a key sets it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::flag::FLAG_OF;
use crate::config::keys::{LogFormat, LogLevel, Tier};
use crate::config::{self, ConfigError, Setting, Sources};

/// Telemetry for what you cannot change: watches every plaintext HTTP/1 request of every process on
/// this host, from the kernel, and reports rate, errors and duration.
#[derive(Debug, Parser)]
#[command(name = "steth", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = false, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do; without a verb: watch, and show it if this is a terminal.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// For every verb.
    #[command(flatten)]
    pub flags: Flags,
}

const EXAMPLES: &str = "\
Examples:
  sudo steth                                   watch this host, live, in the terminal
  sudo steth check                             what this kernel and these privileges allow
  sudo steth --otlp-endpoint http://otel:4318  push to a collector as well
  sudo -E steth                                the same, set by OTEL_EXPORTER_OTLP_ENDPOINT
  sudo steth --include-executable nginx        watch nginx only
  sudo steth trace --last 5                    five traces as waterfalls, with what they waited for
  sudo steth record bug.steth --for 60s        a recording is a bug report
  steth replay bug.steth                       ... that anyone can play back, without privileges
  curl -s http://127.0.0.1:9464/metrics        what Prometheus would see

Every flag is also a key of the configuration file and an environment variable:
see `steth config reference`. Flags win over STETH_*, those over OTEL_*, those over the file.";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Say, probe by probe, what works here and what is lost without it.
    ///
    /// Exit code 0: everything works. 1: something is lost. 2: nothing can be watched.
    Check,
    /// Watch, and write everything the kernel says to a file.
    ///
    /// The file holds the first bytes of requests and responses, so treat it like a capture of the
    /// traffic itself.
    #[command(after_help = "Example:\n  sudo steth record bug.steth --for 60s")]
    Record {
        /// The file to write.
        file: PathBuf,
        /// Leave out who made it: names and paths of the host, arguments, environments, and processes
        /// without traffic.
        #[arg(long)]
        anonymous: bool,
        /// Stop after this long, for instance 60s; without it, at Ctrl-C.
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        length: Option<std::time::Duration>,
    },
    /// Watch, and print each trace as a waterfall of text.
    ///
    /// Watches by itself, beside an agent or without one: nothing listens, so nobody who may not watch
    /// this host can ask for what was requested on it. Every trace is printed, as far as
    /// `traces.rate` and the budgets allow; `STETH_TRACES_RATIO` makes it a part of them, beside errors and slow ones.
    #[command(
        after_help = "Examples:\n  sudo steth trace --last 5\n  sudo STETH_TRACES_RATIO=0 steth trace --include-service shop"
    )]
    Trace {
        /// End after so many traces; without it, at Ctrl-C.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        last: Option<u32>,
    },
    /// Play a recording back, as if it happened again. Needs no privileges.
    #[command(after_help = "Example:\n  steth replay bug.steth")]
    Replay {
        /// The file to read.
        file: PathBuf,
    },
    /// See, explain and check the configuration.
    #[command(subcommand)]
    Config(ConfigVerb),
}

/// What to do with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigVerb {
    /// Print what is in force, each value with where it came from.
    Show,
    /// Check a file without starting anything.
    Validate {
        /// The file; without it, the one that would be used.
        file: Option<PathBuf>,
    },
    /// Print every key with its meaning, default and environment variable.
    Reference,
    /// Print the JSON schema of the file, for editors.
    Schema,
}

impl ConfigVerb {
    /// What it prints.
    pub fn told(&self, sources: &Sources) -> Result<String, ConfigError> {
        match self {
            Self::Schema => Ok(config::reference::schema()),
            Self::Reference => Ok(config::reference::markdown()),
            Self::Show => Ok(config::show::show(&config::load(sources)?)),
            Self::Validate { file: Some(file) } => {
                config::validate(file)?;
                Ok(format!("{} is valid\n", file.display()))
            }
            Self::Validate { file: None } => {
                let usual = config::DEFAULT_FILE;
                Ok(config::load(sources)?.file.map_or_else(
                    || format!("no file was named and there is no {usual}: all is default\n"),
                    |file| format!("{} is valid\n", file.display()),
                ))
            }
        }
    }
}

/// Flags of every verb.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is there or not")]
pub struct Flags {
    /// Configuration file [default: /etc/steth/steth.yaml if it exists].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Show the live view even if this is no terminal.
    #[arg(long, global = true, conflicts_with = "no_live")]
    pub live: bool,
    /// Run as a daemon even on a terminal.
    #[arg(long, global = true)]
    pub no_live: bool,
    /// Where in the kernel traffic is seen.
    #[arg(
        long,
        global = true,
        value_name = "TIER",
        hide_possible_values = true,
        help = "Where in the kernel traffic is seen: auto, 1, 2 or 3 [default: auto]"
    )]
    pub capture_tier: Option<Tier>,
    /// Directory under which the host's /proc and /sys are found [default: /].
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Where /metrics, /healthz and /status are served [default: 127.0.0.1:9464].
    #[arg(long, global = true, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where metrics are pushed to.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Push metrics to this collector, for instance http://localhost:4318"
    )]
    pub otlp_endpoint: Option<String>,
    /// How often metrics are collected and pushed [default: 10s].
    #[arg(long, global = true, value_name = "DURATION")]
    pub interval: Option<String>,
    /// Least severe level that is logged [default: info].
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        hide_possible_values = true,
        help = "Least severe level that is logged: off, error, warn, info, debug or trace [default: info]"
    )]
    pub log: Option<LogLevel>,
    /// How a line of the log looks [default: text on a terminal, else json].
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "How a line of the log looks: json or text [default: text on a terminal, else json]"
    )]
    pub log_format: Option<LogFormat>,
    /// Turn the kernel's BPF run-time statistics on, to see what each program costs.
    #[arg(long, global = true)]
    pub stats: bool,
    /// What is watched.
    #[command(flatten)]
    pub filter: FilterFlags,
    /// Programs only count their calls and leave.
    #[arg(long, global = true, hide = true)]
    pub empty_programs: bool,
}

/// What is watched. Each can be given again, or take a list separated by commas.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is watched (again, or a,b,c; * and ? are wildcards)")]
pub struct FilterFlags {
    /// Only these executables.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub include_executable: Vec<String>,
    /// Not these executables.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub exclude_executable: Vec<String>,
    /// Only these services.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub include_service: Vec<String>,
    /// Not these services.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub exclude_service: Vec<String>,
    /// Only these TCP ports.
    #[arg(long, global = true, value_name = "PORT", value_delimiter = ',')]
    pub include_port: Vec<String>,
    /// Not these TCP ports.
    #[arg(long, global = true, value_name = "PORT", value_delimiter = ',')]
    pub exclude_port: Vec<String>,
    /// Only these control groups.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub include_cgroup: Vec<String>,
    /// Not these control groups.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub exclude_cgroup: Vec<String>,
    /// Only these request paths.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub include_path: Vec<String>,
    /// Not these request paths.
    #[arg(long, global = true, value_name = "GLOB", value_delimiter = ',')]
    pub exclude_path: Vec<String>,
}

impl Cli {
    /// What the configuration is made of: this line and the environment.
    pub fn sources(&self, environment: impl Iterator<Item = (OsString, OsString)>) -> Sources {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Sources {
            file: self.flags.config.clone(),
            environment: environment.map(|(name, value)| (text(name), text(value))).collect(),
            flags: self.flags.settings(),
        }
    }
}

impl Flags {
    /// Whether there is to be a live view, given whether there is a terminal to show it on.
    pub fn wants_live(&self, terminal: bool) -> bool {
        self.live || (terminal && !self.no_live)
    }

    /// What was given, as settings over file and environment.
    pub fn settings(&self) -> Vec<Setting> {
        FLAG_OF
            .iter()
            .filter_map(|(path, flag)| Some(Setting { path, flag, text: self.text_of(path)? }))
            .collect()
    }

    fn text_of(&self, path: &str) -> Option<String> {
        let Self { filter, .. } = self;
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.join(","));
        match path {
            "capture.tier" => word(self.capture_tier),
            "capture.statistics" => self.stats.then(|| "true".to_owned()),
            "host.root" => self.root.as_ref().map(|root| root.to_string_lossy().into_owned()),
            "prometheus.listen" => self.listen.clone(),
            "otlp.endpoint" => self.otlp_endpoint.clone(),
            "metrics.interval" => self.interval.clone(),
            "log.level" => word(self.log),
            "log.format" => word(self.log_format),
            "filter.include.executables" => list(&filter.include_executable),
            "filter.exclude.executables" => list(&filter.exclude_executable),
            "filter.include.services" => list(&filter.include_service),
            "filter.exclude.services" => list(&filter.exclude_service),
            "filter.include.ports" => list(&filter.include_port),
            "filter.exclude.ports" => list(&filter.exclude_port),
            "filter.include.cgroups" => list(&filter.include_cgroup),
            "filter.exclude.cgroups" => list(&filter.exclude_cgroup),
            "filter.include.paths" => list(&filter.include_path),
            "filter.exclude.paths" => list(&filter.exclude_path),
            _ => None,
        }
    }
}

fn word<T: ValueEnum>(value: Option<T>) -> Option<String> {
    Some(value?.to_possible_value()?.get_name().to_owned())
}

/// For `--for`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let period: crate::config::unit::Period<1000, 604_800_000> =
        text.parse().map_err(|expected| format!("expected {expected}"))?;
    Ok(period.duration())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, ConfigVerb, FLAG_OF, Verb};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_in_the_table_exists_and_sets_its_key() {
        let command = Cli::command();
        for (path, flag) in FLAG_OF {
            let argument = command
                .get_arguments()
                .find(|argument| argument.get_long() == flag.strip_prefix("--"))
                .unwrap_or_else(|| panic!("{flag} of {path} is no flag"));
            let mut line = vec!["steth", flag];
            let takes_value = argument.get_action().takes_values();
            let value = match *path {
                "log.format" => "json",
                "log.level" => "info",
                _ => "1",
            };
            line.extend(takes_value.then_some(value));
            let cli = Cli::parse_from(line);
            let settings = cli.flags.settings();
            assert_eq!(settings.len(), 1, "{flag}");
            assert_eq!((settings[0].path, settings[0].flag), (*path, *flag));
        }
    }

    #[test]
    fn lines_mean_what_the_help_says() {
        let verb = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.verb);
        assert_eq!(verb("steth").unwrap(), None);
        assert_eq!(verb("steth check").unwrap(), Some(Verb::Check));
        assert_eq!(
            verb("steth record f --for 60s").unwrap(),
            Some(Verb::Record {
                file: "f".into(),
                anonymous: false,
                length: Some(std::time::Duration::from_mins(1))
            })
        );
        assert_eq!(
            verb("steth config validate a.yaml").unwrap(),
            Some(Verb::Config(ConfigVerb::Validate { file: Some("a.yaml".into()) }))
        );
        assert_eq!(verb("steth trace --last 3").unwrap(), Some(Verb::Trace { last: Some(3) }));
        assert!(verb("steth trace --last 0").is_err());
        let after = Cli::parse_from(["steth", "check", "--config", "x", "--capture-tier", "3"]);
        assert_eq!(after.flags.settings()[0].text, "3");
        let refused = verb("steth record f --for 60").unwrap_err().to_string();
        assert!(refused.contains("a duration such as 10s"), "{refused}");
        let refused = verb("steth --capture-teir 1").unwrap_err().to_string();
        assert!(refused.contains("--capture-tier"), "{refused}");
        assert!(verb("steth --live --no-live").is_err());
    }

    #[test]
    fn the_help_teaches() {
        insta::assert_snapshot!(Cli::command().render_help().to_string());
    }
}
