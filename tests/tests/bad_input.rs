//! What a user may get wrong, and what others may do to the agent: a clear word and the right exit
//! code, never a panic, never a stop.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use steth_tests::agent::{Agent, binary, free_port};
use steth_tests::invocation::{Said, run};
use steth_tests::program::{Scratch, connect};
use steth_tests::traffic::Traffic;

fn steth(words: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Said> {
    run(&[], &binary(), words, environment)
}

/// It ended with `code` and said all of `words`; it did not fall over.
fn check(case: &str, said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{case}: {said:?}");
    let all = format!("{}{}", said.out, said.err);
    assert!(!all.contains("panicked"), "{case}: {all}");
    for word in words {
        assert!(all.contains(word), "{case}: `{word}` is not in:\n{all}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_with_what_was_meant() -> anyhow::Result<()> {
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&["--capture-teir", "1"], 2, &["--capture-teir", "--capture-tier"]),
        (&["--capture-tier", "4"], 2, &["4", "auto, 1, 2, 3"]),
        (&["chek"], 2, &["chek", "check"]),
        (&["config", "shw"], 2, &["shw", "show"]),
        (&["--live", "--no-live"], 2, &["--live", "--no-live"]),
        (
            &["--otlp-endpoint", "ftp://x"],
            1,
            &["--otlp-endpoint", "http://localhost:4318", "ftp://x"],
        ),
        (
            &["--listen", "127.0.0.1:99999"],
            1,
            &["--listen", "127.0.0.1:99999", "an address and a port"],
        ),
        (&["--interval", "10"], 1, &["--interval", "a duration such as 10s", "`10`"]),
        (&["--root", "/nowhere"], 1, &["no host at /nowhere", "--root"]),
    ];
    for (words, code, expect) in cases {
        check(&words.join(" "), &steth(words, &[])?, code, expect);
    }
    Ok(())
}

#[test]
fn a_wrong_file_is_refused_with_line_and_nearest_key() -> anyhow::Result<()> {
    let scratch = Scratch::new("bad-file")?;
    let vast = vec![b'#'; 2 << 20];
    let cases: [(&str, &[u8], &[&str]); 9] = [
        (
            "unknown.yaml",
            b"metrics:\n  interval: 10s\notlp:\n  endpont: http://x:1\n",
            &["unknown.yaml:4:3", "unknown key `endpont` in `otlp`", "did you mean `endpoint`"],
        ),
        ("top.yaml", b"\nmetrcs: {}\n", &["top.yaml:2:1", "`metrcs`", "did you mean `metrics`"]),
        ("syntax.yaml", b"metrics: [\n", &["syntax.yaml:1:", "not valid YAML"]),
        (
            "value.yaml",
            b"metrics:\n  interval: soon\n",
            &["value.yaml:2:13", "`metrics.interval`", "a duration such as 10s", "`soon`"],
        ),
        ("word.yaml", b"otlp: {compression: gzp}\n", &["word.yaml:1:", "did you mean `gzip`"]),
        ("kind.yaml", b"filter: [a, b]\n", &["kind.yaml:1:", "`filter`"]),
        ("noise.yaml", b"\xff\xfe\x00\x01", &["noise.yaml", "UTF-8"]),
        ("bomb.yaml", b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", &["bomb.yaml:1:1", "`a`"]),
        ("large.yaml", &vast, &["large.yaml", "larger than"]),
    ];
    for (name, content, expect) in cases {
        let file = scratch.file(name, content)?;
        let file = file.to_string_lossy();
        check(name, &steth(&["--no-live", "--config", &file], &[])?, 1, expect);
        check(name, &steth(&["config", "validate", &file], &[])?, 1, expect);
        check(name, &steth(&["config", "show"], &[("STETH_CONFIG", &file)])?, 1, expect);
    }
    let missing = steth(&["--config", "/nowhere/steth.yaml"], &[])?;
    check("missing", &missing, 1, &["/nowhere/steth.yaml", "No such file", "--config"]);
    let twice = missing.err.matches("No such file").count();
    assert_eq!(twice, 1, "the cause is said once: {}", missing.err);
    check("a directory", &steth(&["--config", "/tmp"], &[])?, 1, &["/tmp", "directory"]);
    Ok(())
}

#[test]
fn a_wrong_variable_of_ours_is_refused_and_one_of_the_specification_passed_over()
-> anyhow::Result<()> {
    let unknown = steth(&["check"], &[("STETH_OTLP_ENDPONT", "http://x:1")])?;
    check("unknown", &unknown, 1, &["STETH_OTLP_ENDPONT", "did you mean `STETH_OTLP_ENDPOINT`"]);
    let value = steth(&["check"], &[("STETH_METRICS_INTERVAL", "3")])?;
    check("value", &value, 1, &["STETH_METRICS_INTERVAL", "a duration such as 10s", "`3`"]);
    // The specification asks for a warning and the default.
    let agent = Agent::start_with(&[], &[("OTEL_METRIC_EXPORT_INTERVAL", "often")])?;
    assert!(agent.log().contains("OTEL_METRIC_EXPORT_INTERVAL"), "{}", agent.log());
    assert!(agent.get("/status")?.contains("OTEL_METRIC_EXPORT_INTERVAL"), "{}", agent.log());
    Ok(())
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() -> anyhow::Result<()> {
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    let said = steth(&["--no-live", "--listen", &address], &[])?;
    check("in use", &said, 1, &[&address, "already in use", "ss -ltnp", "--listen"]);
    let said = steth(&["--no-live", "--listen", "192.0.2.1:9464"], &[])?;
    check("not here", &said, 1, &["192.0.2.1:9464", "no interface of this host"]);
    Ok(())
}

#[test]
fn an_unreachable_collector_is_told_of_once_and_stops_nothing() -> anyhow::Result<()> {
    let traffic = Traffic::start("unreachable")?;
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    for protocol in ["grpc", "http/protobuf"] {
        let mut agent = Agent::start_with(
            &["--interval", "1s", "--otlp-endpoint", &nobody],
            &[("STETH_OTLP_PROTOCOL", protocol)],
        )?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(6) {
            traffic.ask(5)?;
            std::thread::sleep(Duration::from_millis(500));
        }
        let told = agent.log().lines().filter(|line| line.contains("OTLP")).count();
        assert_eq!(told, 1, "{protocol}: {}", agent.log());
        assert!(agent.log().contains("refused"), "{protocol}: {}", agent.log());
        assert!(agent.metrics()?.served(traffic.server(), &[]) > 0, "{protocol}: {}", agent.log());
        let (status, took) = agent.terminate()?;
        assert!(status.success(), "{protocol}: {status}: {}", agent.log());
        assert!(took < Duration::from_secs(8), "{protocol}: {took:?} to end: {}", agent.log());
    }
    Ok(())
}

/// A `--root` whose types are `btf`; its `/proc` is the real one.
fn root_with(scratch: &Scratch, btf: &[u8]) -> anyhow::Result<String> {
    let btf_folder = scratch.path().join("sys/kernel/btf");
    std::fs::create_dir_all(&btf_folder)?;
    std::fs::write(btf_folder.join("vmlinux"), btf)?;
    let proc = scratch.path().join("proc");
    if !proc.exists() {
        std::os::unix::fs::symlink("/proc", proc)?;
    }
    Ok(scratch.path().to_string_lossy().into_owned())
}

/// Types of a kernel that knows no such name, be it as the end of a longer one.
fn without(types: &[u8], name: &str) -> Vec<u8> {
    let mut types = types.to_vec();
    let last = types.len().saturating_sub(name.len());
    for at in 0..last {
        if types.get(at..).is_some_and(|rest| rest.starts_with(name.as_bytes()))
            && types.get(at + name.len()) == Some(&0)
        {
            types.get_mut(at).into_iter().for_each(|first| *first = b'_');
        }
    }
    types
}

#[test]
fn a_kernel_that_is_too_old_or_undescribed_is_told_of() -> anyhow::Result<()> {
    let types = std::fs::read("/sys/kernel/btf/vmlinux").context("this kernel has no BTF")?;
    let cut = types.get(..types.len() / 3).unwrap_or_default();
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        ("empty", Vec::new(), &["malformed"]),
        ("noise", vec![0xa5; 4096], &["malformed"]),
        ("cut", cut.to_vec(), &["malformed"]),
        (
            "old",
            without(&types, "copied_seq"),
            &["this kernel has no tcp_sock.copied_seq", "too old"],
        ),
        ("older", without(&types, "tcp_sock"), &["this kernel has no tcp_sock"]),
    ];
    for (case, btf, expect) in cases {
        let scratch = Scratch::new("old-kernel")?;
        let root = root_with(&scratch, &btf)?;
        check(case, &steth(&["--root", &root, "check"], &[])?, 2, expect);
        check(case, &steth(&["--root", &root, "--no-live"], &[])?, 1, expect);
    }
    // Without what only names need, requests are still seen, and what is lost is said.
    let scratch = Scratch::new("nameless-kernel")?;
    let root = root_with(&scratch, &without(&types, "start_boottime"))?;
    let words = ["FAILED", "this kernel has no task_struct.start_boottime", "names of"];
    check("nameless", &steth(&["--root", &root, "check"], &[])?, 1, &words);
    // A kernel built without: nothing stands where the description should.
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let before = ["unshare", "--mount", "sh", "-c", hide, "sh"];
    let words = ["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF=y"];
    check("without", &run(&before, &binary(), &["check"], &[])?, 2, &words);
    check("without", &run(&before, &binary(), &["--no-live"], &[])?, 1, &words);
    Ok(())
}

#[test]
fn the_agents_own_port_withstands_hostile_clients() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let port = agent.address().port();
    let huge = [b"GET /".as_slice(), &vec![b'a'; 1 << 20], b" HTTP/1.1\r\n\r\n"].concat();
    let headers: Vec<u8> = (0..10_000).flat_map(|i| format!("x{i}: y\r\n").into_bytes()).collect();
    let many = [b"GET / HTTP/1.1\r\n".as_slice(), &headers, b"\r\n"].concat();
    let endless = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'y'; 4 << 20]].concat();
    let hostile: [&[u8]; 11] = [
        b"",
        b"\r\n\r\n\r\n",
        b"GET",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        &huge,
        &many,
        &endless,
    ];
    let before = agent.status()?["agent"]["rss_bytes"].as_u64().unwrap_or_default();
    for bytes in hostile {
        let mut stream = connect(port)?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        // It may hang up in the middle, which is its right.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("root:"), "{answer}");
        assert_eq!(agent.get("/healthz")?, "ok\n", "{}", agent.log());
    }
    // More at once than it has places for, who say nothing; those who come later are not locked out
    // for good.
    let silent: Vec<_> = (0..200).map(|_| connect(port)).collect::<Result<_, _>>()?;
    drop(silent);
    let deadline = Instant::now() + Duration::from_secs(20);
    while agent.get("/healthz").is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(agent.get("/healthz")?, "ok\n", "{}", agent.log());
    let after = agent.status()?["agent"]["rss_bytes"].as_u64().unwrap_or_default();
    assert!(after < before + (8 << 20), "{before} bytes before, {after} after");
    Ok(())
}

#[test]
fn check_tells_every_probe_and_ends_with_what_it_found() -> anyhow::Result<()> {
    let said = steth(&["check"], &[])?;
    check("check", &said, 0, &["kernel ", "capture ", "PROBE", "Everything works."]);
    for probe in ["sock_state", "process_exec", "process_fork", "process_exit", "sweep"] {
        let active = said.out.lines().any(|line| {
            line.strip_prefix(probe).is_some_and(|rest| rest.trim().starts_with("active"))
        });
        assert!(active, "{probe}: {}", said.out);
    }
    let forced = steth(&["--capture-tier", "3", "check"], &[])?;
    check("forced", &forced, 0, &["3: exits of system calls"]);
    Ok(())
}

#[test]
fn the_configuration_is_shown_explained_and_checked() -> anyhow::Result<()> {
    let scratch = Scratch::new("configuration")?;
    let file = scratch.file(
        "steth.yaml",
        "metrics: {interval: 20s}\notlp:\n  endpoint: http://file:4318\n  headers: {authorization: hush}\n",
    )?;
    let file = file.to_string_lossy();
    let environment = [("STETH_OTLP_ENDPOINT", "http://variable:4318")];
    let show = steth(&["config", "show", "--config", &file, "--log", "debug"], &environment)?;
    check(
        "show",
        &show,
        0,
        &["http://variable:4318", "STETH_OTLP_ENDPOINT", "20s", "--log", "debug"],
    );
    assert!(!show.out.contains("hush"), "a secret is shown: {}", show.out);
    let schema = steth(&["config", "schema"], &[])?;
    check("schema", &schema, 0, &["\"$schema\""]);
    serde_json::from_str::<serde_json::Value>(&schema.out)?;
    let reference = steth(&["config", "reference"], &[])?;
    check("reference", &reference, 0, &["### `otlp.endpoint`", "STETH_OTLP_ENDPOINT"]);
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    assert_eq!(reference.out, std::fs::read_to_string(deploy.join("reference/config.md"))?);
    let example = deploy.join("steth.yaml");
    let example = example.to_string_lossy();
    check("example", &steth(&["config", "validate", &example], &[])?, 0, &["is valid"]);
    check("none", &steth(&["config", "validate"], &[])?, 0, &["no file"]);
    Ok(())
}
