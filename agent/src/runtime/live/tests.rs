//! The view as it is drawn, and what keys do to it.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Header, Host, Row, Usage, View};
use super::render::render;
use super::state::{Column, Effect, State};
use crate::protocol::Role;

fn row(service: &str, role: Role, route: &str, rate: f64, p50: f64) -> Row {
    Row {
        service: Arc::from(service),
        role,
        route: Arc::from(route),
        rate,
        errors: if rate > 100.0 { 0.012 } else { 0.0 },
        p50: Some(p50),
        p95: Some(p50 * 4.0),
        p99: Some(p50 * 20.0),
        in_flight: (role == Role::Server).then_some(3),
        usage: usage(service),
    }
}

/// What a service uses: nginx waits, evil has everything against it, of cron nothing is known.
fn usage(service: &str) -> Usage {
    let calm = Usage {
        cpu: Some(0.034),
        wait: Some(0.0021),
        throttled: Some(0.0),
        memory: Some(212 << 20),
        disk_wait: Some(0.0),
        retransmits: Some(0.0),
        ..Usage::default()
    };
    match service {
        "cron" => Usage::default(),
        "nginx" => Usage {
            cpu: Some(1.62),
            wait: Some(0.41),
            throttled: Some(0.12),
            retransmits: Some(17.3),
            ..calm
        },
        "evil\x1b[2J" => Usage {
            cpu: Some(16.0),
            wait: Some(120.0),
            memory: Some(3 << 30),
            memory_full: Some(1.0),
            disk_wait: Some(0.95),
            accept: true,
            oom: true,
            ..calm
        },
        _ => calm,
    }
}

fn host() -> Host {
    Host {
        cpu: Some(0.973),
        wait: Some(1.62),
        memory: Some(0.61),
        disk: Some(0.021),
        pressure: [Some(0.412), Some(0.0), Some(0.034)],
        drops: Some(0.0),
        retransmits: Some(17.3),
        accept: true,
        oom: false,
    }
}

fn view() -> View {
    let idle =
        Row { p50: None, p95: None, p99: None, ..row("cron", Role::Client, "PUT /x", 0.0, 0.0) };
    View {
        header: Header {
            host: "node-7".to_owned(),
            uptime: Duration::from_secs(3_725),
            capture: "tier 1".to_owned(),
            seen: 1_234_567,
            reported: 1_234_560,
            lost: 7,
            ring: 0.021,
            cpu: 0.034,
            rss: 19 << 20,
        },
        host: host(),
        services: vec![
            row("checkout", Role::Server, "-", 12.4, 0.0123),
            row("nginx", Role::Server, "-", 18_250.0, 0.000_084),
            row("evil\x1b[2J", Role::Server, "-", 0.05, 1.5),
            Row { route: Arc::from("-"), ..idle.clone() },
        ],
        rows: vec![
            row(
                "checkout",
                Role::Server,
                "POST /carts/{id}/items/{item}/with/a/very/long/tail",
                12.4,
                0.0123,
            ),
            row("nginx", Role::Server, "GET /static/*", 18_250.0, 0.000_084),
            row("nginx", Role::Client, "GET /api/users/{id}", 251.5, 0.0041),
            row("evil\x1b[2J", Role::Server, "GET /\u{7}bell", 0.05, 1.5),
            idle,
        ],
        errors: Vec::new(),
        slowest: Vec::new(),
    }
}

fn drawn(view: &View, state: &State, warning: Option<&str>, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render(view, state, warning, frame)).unwrap();
    terminal.backend().to_string()
}

fn pressed(keys: &str) -> State {
    let mut state = State::default();
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            '>' => KeyCode::Right,
            '<' => KeyCode::Left,
            'v' => KeyCode::Down,
            '^' => KeyCode::Up,
            other => KeyCode::Char(other),
        };
        assert_eq!(state.press(KeyEvent::from(code), 5), Effect::None, "{keys:?}");
    }
    state
}

#[test]
fn a_wide_terminal_shows_all_columns() {
    insta::assert_snapshot!(drawn(&view(), &State::default(), None, 120, 10));
}

#[test]
fn a_narrow_terminal_shows_what_matters_most() {
    for width in [90, 70, 50, 30] {
        let drawn = drawn(&view(), &State::default(), None, width, 8);
        insta::assert_snapshot!(format!("width_{width}"), drawn);
    }
}

#[test]
fn services_show_what_they_use_and_wait_for() {
    for width in [130, 80, 60, 45, 30] {
        let drawn = drawn(&view(), &pressed("u"), None, width, 9);
        insta::assert_snapshot!(format!("services_{width}"), drawn);
    }
    let calm = View {
        host: Host { cpu: Some(0.1), wait: Some(0.01), accept: false, ..Host::default() },
        services: vec![row("checkout", Role::Server, "-", 12.4, 0.0123)],
        ..view()
    };
    insta::assert_snapshot!("services_calm", drawn(&calm, &pressed("u"), None, 80, 6));
}

#[test]
fn traces_are_listed_and_the_marked_one_is_a_waterfall() {
    let traces = crate::runtime::traces::tests::example();
    let view = View { errors: traces.errors(9), slowest: traces.slowest(9), ..view() };
    insta::assert_snapshot!("traces_100", drawn(&view, &pressed("uu"), None, 100, 14));
    insta::assert_snapshot!("traces_60", drawn(&view, &pressed("uuv"), None, 60, 10));
    let none = pressed("uu/nothing\n");
    assert!(drawn(&view, &none, None, 80, 10).contains("No trace to show yet"));
    assert_eq!((none.count(&view), pressed("uu").count(&view)), (0, 2));
    for (width, height) in [(1, 1), (5, 2), (20, 3), (300, 60)] {
        drawn(&view, &pressed("uuv"), None, width, height);
    }
    assert_eq!(pressed("uuu").table, pressed("").table);
}

#[test]
fn the_widest_terminal_shows_both_tables_in_one() {
    insta::assert_snapshot!(drawn(&view(), &State::default(), None, 160, 10));
}

#[test]
fn each_table_keeps_to_its_columns() {
    let check = |keys: &str, sort: Column, descending: bool| {
        let state = pressed(keys);
        assert_eq!((state.sort, state.descending), (sort, descending), "{keys:?}");
    };
    check("u", Column::Rate, true);
    check("u5", Column::Cpu, true);
    check("u55", Column::Cpu, false);
    check("u5uu", Column::Rate, true);
    check("nu", Column::Service, false);
    check("3u", Column::Rate, true);
    check("u<<", Column::Role, false);
    let view = view();
    let first = |keys: &str| {
        let state = pressed(keys);
        Arc::clone(&state.select(state.rows(&view))[0].service)
    };
    assert_eq!(&*first("u6"), "evil\x1b[2J");
    assert_eq!(&*first("u7"), "nginx");
    assert_eq!(&*first("u88"), "cron");
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (2, 3), (10, 2), (200, 1), (1, 50)] {
        for keys in ["", "?", "/x", "/nginx\n", "u"] {
            let _ = drawn(&view(), &pressed(keys), Some("warned"), width, height);
        }
    }
}

#[test]
fn nothing_seen_yet_teaches() {
    let view = View { rows: Vec::new(), ..view() };
    insta::assert_snapshot!(drawn(&view, &State::default(), None, 100, 18));
}

#[test]
fn the_filter_the_help_and_the_last_warning_are_shown() {
    let warning = Some("WARN collector is away endpoint=http://otel:4318");
    insta::assert_snapshot!("filtered", drawn(&view(), &pressed("/nginx\np"), warning, 100, 9));
    insta::assert_snapshot!("editing", drawn(&view(), &pressed("/zzz"), None, 80, 7));
    insta::assert_snapshot!("help", drawn(&view(), &pressed("?"), None, 80, 24));
}

#[test]
fn keys_choose_the_column_and_the_order() {
    let check = |keys: &str, sort: Column, descending: bool| {
        let state = pressed(keys);
        assert_eq!((state.sort, state.descending), (sort, descending), "{keys:?}");
    };
    check("", Column::Rate, true);
    check("r", Column::Rate, false);
    check("rr", Column::Rate, true);
    check("s", Column::Errors, true);
    check(">>", Column::P50, true);
    check("<", Column::Route, false);
    check("<<<<", Column::InFlight, true);
    check("1", Column::Service, false);
    check("8", Column::P99, true);
    check("l", Column::P99, true);
    check("e", Column::Errors, true);
    check("n", Column::Service, false);
    check("i", Column::InFlight, true);
}

#[test]
fn rows_stand_in_the_order_asked_for() {
    let view = view();
    let first = |keys: &str| Arc::clone(&pressed(keys).select(&view.rows)[0].route);
    assert_eq!(&*first(""), "GET /static/*");
    assert_eq!(&*first("r"), "PUT /x");
    assert_eq!(&*first("l"), "GET /\u{7}bell");
    assert_eq!(&*first("3"), "GET /\u{7}bell");
    assert_eq!(pressed("/NGINX\n").select(&view.rows).len(), 2);
    assert_eq!(pressed("/nothing").select(&view.rows).len(), 0);
}

#[test]
fn the_filter_takes_every_key_until_it_is_left() {
    let check = |keys: &str, filter: &str, editing: bool| {
        let state = pressed(keys);
        assert_eq!((state.filter.as_str(), state.editing), (filter, editing), "{keys:?}");
    };
    check("/qs/", "qs/", true);
    check("/ab\x08", "a", true);
    check("/ab\n", "ab", false);
    check("/ab\x1b", "", false);
    check("/ab\n\x1b", "", false);
    check(&format!("/{}", "x".repeat(1000)), &"x".repeat(64), true);
}

#[test]
fn scrolling_stays_on_the_table() {
    let check = |keys: &str, scroll: usize| assert_eq!(pressed(keys).scroll, scroll, "{keys:?}");
    check("vv", 2);
    check("vvvvvvvvvv", 4);
    check("vv^^^", 0);
    check("G", 4);
    check("Gg", 0);
    check("vvr", 0);
}

#[test]
fn two_keys_quit() {
    let press = |code, modifiers| State::default().press(KeyEvent::new(code, modifiers), 0);
    assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Effect::Quit);
    assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Effect::Quit);
    assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), Effect::None);
    let mut editing = pressed("/");
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(editing.press(control_c, 0), Effect::Quit);
}

/// To look at the view without an agent: `cargo test -p steth --lib fake_feed -- --ignored --nocapture`
/// in a terminal. `STETH_FAKE_PANIC` makes it panic after the first view.
#[test]
#[ignore = "needs a terminal and someone to look at it"]
fn fake_feed() {
    let (sender, receiver) = tokio::sync::watch::channel(Arc::new(View::default()));
    let ring = crate::runtime::log::Ring::default();
    std::thread::spawn(move || {
        for second in 1_u32.. {
            std::thread::sleep(Duration::from_secs(1));
            let mut view = view();
            view.header.uptime = Duration::from_secs(second.into());
            for (place, row) in view.rows.iter_mut().enumerate() {
                row.rate *= 1.0 + f64::from(second % 7) * 0.1 * place as f64;
            }
            for row in &mut view.services {
                row.usage.wait = row.usage.wait.map(|wait| wait * f64::from(second % 5));
            }
            for place in 0..40 {
                let service = format!("service-{:02}", place % 13);
                let route = format!("GET /v1/things/{{id}}/{place}");
                view.rows.push(row(&service, Role::Server, &route, f64::from(place), 0.01));
            }
            if sender.send(Arc::new(view)).is_err() {
                return;
            }
        }
    });
    if std::env::var_os("STETH_FAKE_PANIC").is_some() {
        let _restored = super::Restored;
        let _terminal = ratatui::try_init().unwrap();
        std::thread::sleep(Duration::from_secs(2));
        panic!("as asked");
    }
    super::run(receiver, &ring).unwrap();
}
