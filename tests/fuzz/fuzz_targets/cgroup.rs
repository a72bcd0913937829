//! Any bytes as what `/proc` says of a control group: whoever is found in it has short and printable ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steth::cluster::Whose;
use steth::host::Cgroup;

fn is_short(id: &str) -> bool {
    !id.is_empty() && id.len() <= 255 && !id.chars().any(char::is_control)
}

fn is_named(whose: &Whose) -> bool {
    let is_one = match whose {
        Whose::Container(id, _) => is_short(&id.0),
        Whose::Pod(_) => true,
    };
    is_one && is_short(&whose.pod().0)
}

fuzz_target!(|bytes: &[u8]| {
    let cgroup = Cgroup::parse(bytes);
    let whose = Whose::of_cgroup(&cgroup);
    assert_eq!(whose.is_some(), cgroup.pod.is_some());
    assert!(whose.is_none_or(|whose| is_named(&whose)), "{cgroup:?}");
    assert!(Whose::of_path(&cgroup.path).is_none_or(|whose| is_named(&whose)), "{cgroup:?}");
    if let Ok(path) = std::str::from_utf8(bytes) {
        assert!(Whose::of_path(path).is_none_or(|whose| is_named(&whose)), "{path}");
    }
});
