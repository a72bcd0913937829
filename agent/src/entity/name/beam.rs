//! What an Erlang virtual machine runs: its node's name, else its release.

use super::{Command, Found};

pub(super) fn of(command: &Command) -> Found {
    let after = |names: &[&str]| {
        let mut args = command.rest().iter();
        args.find(|a| names.contains(&a.as_str())).and_then(|_| args.next())
    };
    if let Some(node) = after(&["-sname", "-name"]) {
        let name = node.split('@').next().unwrap_or(node);
        if !name.is_empty() {
            return Found::Name(name.to_owned());
        }
    }
    // /opt/shop/releases/0.1.0/start
    if let Some((home, _)) = after(&["-boot"]).and_then(|boot| boot.split_once("/releases/"))
        && let Some(name) = super::project(&format!("{home}/x"), None)
    {
        return Found::Name(name);
    }
    match after(&["-s"]) {
        Some(module) => Found::Name(module.trim_start_matches("elixir").to_owned()),
        None => Found::Nothing,
    }
}
