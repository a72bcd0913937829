//! The Go compiler that is here and no other, with modules from proxies alone.

use std::path::Path;
use std::process::Command;

use crate::step::{find, output};

/// What to do when something of Go cannot be built.
pub(crate) const ADVICE: &str = "see that a Go module proxy is reachable (`go env GOPROXY`) and that `go version` is \
                                 new enough for the go.mod, then try again";

/// `go`, in the directory `place`.
pub(crate) fn go(place: &Path) -> Command {
    in_go(Command::new(find("go").unwrap_or_else(|| "go".into())), place)
}

/// Another program that builds by Go. A repository that has moved would make the build wait for its host.
pub(crate) fn in_go(mut command: Command, place: &Path) -> Command {
    command.current_dir(place).env("GOTOOLCHAIN", "local");
    let list = output(Command::new("go").args(["env", "GOPROXY"]));
    if let Some(proxies) = list.as_deref().and_then(proxies) {
        command.env("GOPROXY", proxies);
    }
    command
}

/// The list without `direct`; none if nothing would be left.
fn proxies(list: &str) -> Option<String> {
    let proxies: Vec<&str> =
        list.split([',', '|']).filter(|one| !one.is_empty() && *one != "direct").collect();
    (!proxies.is_empty()).then(|| proxies.join(","))
}

#[cfg(test)]
mod tests {
    use super::proxies;

    #[test]
    fn repositories_are_not_asked_directly() {
        let check = |list: &str, expect| {
            assert_eq!(proxies(list).as_deref(), expect, "{list}");
        };
        check("https://proxy.example,direct", Some("https://proxy.example"));
        check(
            "https://a.example|https://b.example,off",
            Some("https://a.example,https://b.example,off"),
        );
        check("direct", None);
        check("", None);
    }
}
