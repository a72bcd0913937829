//! Ten thousand paths in the style of large public APIs, in any order: the same routes, inside the
//! budget, without a value in them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A service's routes with nothing around them, and what each counted.
struct Agent {
    rules: Rules,
    routes: Routes,
    used: usize,
    counts: BTreeMap<RouteId, u64>,
}

impl Agent {
    fn new(per_service: usize, patterns: &[&str]) -> Self {
        let patterns = patterns.iter().map(|p| Pattern::parse(p).unwrap()).collect();
        Self {
            rules: Rules { patterns, per_service, total: usize::MAX },
            routes: Routes::default(),
            used: 0,
            counts: BTreeMap::new(),
        }
    }

    fn see(&mut self, path: &str, minting: Minting) -> RouteId {
        let mut changes = Vec::new();
        let hash = path.bytes().fold(7u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let recalled = self.routes.recall(hash);
        let Self { rules, routes, used, .. } = self;
        let route = recalled
            .unwrap_or_else(|| routes.resolve(rules, used, (path, hash), minting, &mut changes));
        for change in &changes {
            let count = self.counts.remove(&change.from).unwrap_or(0);
            *self.counts.entry(change.to).or_default() += count;
        }
        self.routes.release(&mut self.used, &changes);
        *self.counts.entry(route).or_default() += 1;
        assert_eq!(self.used, self.routes.len());
        route
    }

    fn all<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        for path in paths {
            self.see(path, Minting::Allowed);
        }
        self
    }

    fn text(&self, route: RouteId) -> String {
        match route {
            RouteId::OTHER => OTHER.to_owned(),
            RouteId::NONE => String::new(),
            route => self.routes.name(route).unwrap().text.to_string(),
        }
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (route, count) in &self.counts {
            let before = counts.insert(self.text(*route), *count);
            assert_eq!(before, None, "a text belongs to one route: {}", self.text(*route));
        }
        counts
    }
}

fn check(path: &str, expect: &str) {
    let mut agent = Agent::new(100, &[]);
    let route = agent.see(path, Minting::Allowed);
    assert_eq!(agent.text(route), expect, "{path}");
}

#[test]
fn reads_well() {
    check("/", "/");
    check(
        "/api/v1/namespaces/default/pods/nginx-7d8b49557c-abcde/log",
        "/api/v1/namespaces/{name}/pods/{name}/log",
    );
    check(
        "/apis/apps/v1/namespaces/kube-system/deployments/coredns/scale",
        "/apis/apps/v1/namespaces/{name}/deployments/{name}/scale",
    );
    check("/api/v1/nodes", "/api/v1/nodes");
    check(
        "/repos/octocat/hello-world/issues/1347/comments",
        "/repos/{name}/{name}/issues/{id}/comments",
    );
    check(
        "/repos/octocat/hello-world/git/commits/7638417db6d59f3c431d3e1f261cc637155684cd",
        "/repos/{name}/{name}/git/commits/{hash}",
    );
    check("/users/octocat/repos", "/users/{name}/repos");
    check("/users/me", "/users/me");
    check("/v1/customers/cus_NffrFeUfNV2Hib/sources", "/v1/customers/{id}/sources");
    check(
        "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa/confirm",
        "/v1/payment_intents/{id}/confirm",
    );
    check(
        "/2010-04-01/Accounts/ACd41d8cd98f00b204e9800998ecf8427e/Messages.json",
        "/{date}/Accounts/{hash}/Messages.json",
    );
    check("/api/chat.postMessage", "/api/chat.postMessage");
    check("/static/js/app.3f2a9c.js", "/static/js/{file}.js");
    check("/products/red-cotton-t-shirt", "/products/{slug}");
    check("/blog/2024/05/01/how-to-bake-bread", "/blog/{id}/{id}/{id}/{slug}");
    check("/orders/550e8400-e29b-41d4-a716-446655440000/items/7", "/orders/{uuid}/items/{id}");
    check("/users/a.b%40example.org", "/users/{email}");
    check("/.well-known/openid-configuration", "/.well-known/openid-configuration");
    check("/wp-admin/admin-ajax.php", "/wp-admin/admin-ajax.php");
    check("/search/", "/search");
    check("/a/../../etc/passwd", "{other}");
    check("*", "");
    check("", "");
    check("/1/2/3/4/5/6/7/8/9/10/11/12", "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{**}");
}

#[test]
fn a_random_part_is_one_with_or_without_digits() {
    for tail in ["NffrFeUfNV2Hib", "NffrFeUfNVxHib"] {
        check(&format!("/v1/customers/cus_{tail}"), "/v1/customers/{id}");
        check(&format!("/share/{tail}{tail}"), "/share/{token}");
    }
}

#[test]
fn configured_routes_win() {
    let mut agent = Agent::new(10, &["/users/me", "/users/{user}", "/files/*"]);
    for (path, expect) in [
        ("/users/me", "/users/me"),
        ("/users/alice/", "/users/{user}"),
        ("/users/%61lice", "/users/{user}"),
        ("/files/a/b/c", "/files/*"),
        ("/users/alice/posts", "/users/{name}/posts"),
    ] {
        let route = agent.see(path, Minting::Refused);
        let configured = expect != "/users/{name}/posts";
        assert_eq!(agent.text(route), if configured { expect } else { OTHER }, "{path}");
        let route = agent.see(path, Minting::Allowed);
        assert_eq!(agent.text(route), expect, "{path}");
        assert_eq!(agent.routes.name(route).unwrap().guessed, !configured);
    }
}

#[test]
fn refused_requests_make_no_routes() {
    let mut agent = Agent::new(100, &[]);
    for i in 0..1000 {
        let path = format!("/wp-content/plugins/x{i}/shell.php");
        assert_eq!(agent.see(&path, Minting::Refused), RouteId::OTHER);
    }
    assert_eq!(agent.routes.len(), 0);
    agent.see("/users/7", Minting::Allowed);
    let known = agent.see("/users/8", Minting::Refused);
    assert_eq!(agent.text(known), "/users/{id}");
}

/// The same numbers everywhere: a small generator of our own.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.next(items.len())]
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| letters[self.next(letters.len())]).collect()
    }

    fn shuffle(&mut self, items: &mut [String]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.next(i + 1));
        }
    }
}

const HEX: &str = "0123456789abcdef";
const ALL: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const FIRST: &[&str] = &[
    "al", "bri", "car", "dan", "ed", "fran", "geo", "han", "iv", "jo", "kat", "lu", "mar", "nat",
    "os", "pet", "ro", "sam", "tim", "vic",
];
const LAST: &[&str] = &[
    "ice", "an", "los", "iela", "gar", "cis", "rge", "nah", "ana", "hn", "ie", "cas", "tin",
    "alie", "car", "er", "bert", "uel", "othy", "tor",
];

impl Random {
    fn user(&mut self) -> String {
        let name = format!("{}{}", self.of(FIRST), self.of(LAST));
        match self.next(4) {
            0 => format!("{name}{}", self.next(100)),
            1 => format!("{name}-{}{}", self.of(FIRST), self.of(LAST)),
            _ => name,
        }
    }

    fn id(&mut self) -> String {
        match self.next(6) {
            0 => self.text(HEX, 40),
            1 => format!(
                "{}-{}-{}-{}-{}",
                self.text(HEX, 8),
                self.text(HEX, 4),
                self.text(HEX, 4),
                self.text(HEX, 4),
                self.text(HEX, 12)
            ),
            2 => format!("2024-{:02}-{:02}", self.next(12) + 1, self.next(28) + 1),
            _ => self.next(1_000_000).to_string(),
        }
    }

    fn github(&mut self) -> String {
        let (owner, repo) = (self.user(), self.user());
        let what = self.of(&[
            "issues",
            "pulls",
            "commits",
            "branches",
            "contents",
            "labels",
            "releases",
            "forks",
            "stargazers",
            "actions",
        ]);
        match self.next(6) {
            0 => format!("/users/{owner}/repos"),
            1 => format!("/orgs/{owner}/members"),
            2 => format!("/repos/{owner}/{repo}/issues/{}/comments", self.next(5000)),
            3 => format!("/repos/{owner}/{repo}/git/commits/{}", self.text(HEX, 40)),
            _ => format!("/repos/{owner}/{repo}/{what}"),
        }
    }

    fn stripe(&mut self) -> String {
        let id = |random: &mut Self, prefix: &str| format!("{prefix}_{}", random.text(ALL, 14));
        match self.next(4) {
            0 => {
                let i = id(self, "cus");
                format!("/v1/customers/{i}")
            }
            1 => {
                let i = id(self, "pi");
                format!("/v1/payment_intents/{i}/confirm")
            }
            2 => {
                let (a, b) = (id(self, "sub"), id(self, "si"));
                format!("/v1/subscriptions/{a}/items/{b}")
            }
            _ => self
                .of(&["/v1/balance", "/v1/charges", "/v1/invoices/upcoming", "/v1/tokens"])
                .to_owned(),
        }
    }

    fn kubernetes(&mut self) -> String {
        let namespace = self
            .of(&["default", "kube-system", "monitoring", "team-blue", "team-red", "shop"])
            .to_owned();
        let pod = format!(
            "{}-{}-{}",
            self.of(FIRST),
            self.text(HEX, 10),
            self.text("bcdfghjklmnpqrstvwxz2456789", 5)
        );
        match self.next(5) {
            0 => format!("/api/v1/namespaces/{namespace}/pods/{pod}/log"),
            1 => format!(
                "/api/v1/namespaces/{namespace}/{}",
                self.of(&["pods", "services", "configmaps", "secrets", "events", "endpoints"])
            ),
            2 => format!("/apis/apps/v1/namespaces/{namespace}/deployments/{}", self.user()),
            3 => format!(
                "/apis/batch/v1/namespaces/{namespace}/jobs/{}-{}",
                self.user(),
                self.next(99_999_999)
            ),
            _ => self
                .of(&["/api/v1/nodes", "/healthz", "/version", "/openapi/v2", "/livez"])
                .to_owned(),
        }
    }

    fn s3(&mut self) -> String {
        let bucket = format!("{}-{}", self.user(), self.of(&["media", "backup", "logs"]));
        match self.next(3) {
            0 => format!("/{bucket}/{}/{}.jpg", self.id(), self.text(ALL, 12)),
            1 => format!(
                "/{bucket}/logs/2024/{:02}/{:02}/{}.gz",
                self.next(12),
                self.next(28),
                self.text(HEX, 16)
            ),
            _ => format!("/{bucket}"),
        }
    }

    fn shop(&mut self) -> String {
        match self.next(6) {
            0 => format!(
                "/products/{}-{}-{}-{}",
                self.of(FIRST),
                self.of(LAST),
                self.of(FIRST),
                self.next(500)
            ),
            1 => format!("/cart/{}/checkout", self.id()),
            2 => {
                format!("/assets/{}.{}.js", self.of(&["app", "vendor", "main"]), self.text(HEX, 8))
            }
            3 => format!("/account/orders/{}", self.next(99_999)),
            4 => format!("/reset-password/{}", self.text(ALL, 32)),
            _ => self
                .of(&[
                    "/",
                    "/about",
                    "/contact",
                    "/shipping-returns",
                    "/favicon.ico",
                    "/robots.txt",
                    "/gift-cards",
                ])
                .to_owned(),
        }
    }

    fn slack(&mut self) -> String {
        match self.next(3) {
            0 => format!(
                "/services/T{}/B{}/{}",
                self.text(ALL, 8),
                self.text(ALL, 8),
                self.text(ALL, 24)
            ),
            1 => format!("/u/{}%40example.org/files", self.user()),
            _ => format!(
                "/api/{}",
                self.of(&[
                    "chat.postMessage",
                    "chat.update",
                    "users.list",
                    "users.info",
                    "files.upload",
                    "auth.test",
                    "conversations.history"
                ])
            ),
        }
    }

    fn blog(&mut self) -> String {
        let slug = format!(
            "{}{}-{}{}-{}{}",
            self.of(FIRST),
            self.of(LAST),
            self.of(FIRST),
            self.of(LAST),
            self.of(FIRST),
            self.of(LAST)
        );
        match self.next(4) {
            0 => format!("/{slug}"),
            1 => format!("/2024/{:02}/{slug}", self.next(12)),
            2 => format!("/author/{}", self.user()),
            _ => format!("/tag/{}", self.user()),
        }
    }

    fn paths(&mut self, number: usize) -> Vec<String> {
        (0..number)
            .map(|_| match self.next(8) {
                0 => self.github(),
                1 => self.stripe(),
                2 => self.kubernetes(),
                3 => self.s3(),
                4 => self.shop(),
                5 => self.slack(),
                6 => self.blog(),
                _ => format!(
                    "/api/v2/{}/{}",
                    self.of(&["users", "orders", "devices", "sessions"]),
                    self.id()
                ),
            })
            .collect()
    }
}

#[test]
fn ten_thousand_paths_give_few_routes_the_same_ones_in_any_order() {
    let mut random = Random(1);
    let mut paths = random.paths(20_000);
    let distinct: BTreeSet<&String> = paths.iter().collect();
    assert!(distinct.len() >= 10_000, "{}", distinct.len());
    let first = Agent::new(256, &[]).all(paths.iter().map(String::as_str));
    let counts = first.counts();
    assert_eq!(counts.values().sum::<u64>(), 20_000);
    assert!(first.routes.len() <= 256);
    assert_eq!(first.routes.breadth, BREADTH, "the budget was never used up");
    assert!(!counts.contains_key(OTHER), "{counts:#?}");
    for _ in 0..5 {
        random.shuffle(&mut paths);
        let other = Agent::new(256, &[]).all(paths.iter().map(String::as_str));
        assert_eq!(other.counts(), counts);
    }
    // A restarted one that sees the same paths again.
    let again = Agent::new(256, &[]).all(paths.iter().map(String::as_str));
    assert_eq!(again.counts(), counts);
    if std::env::var_os("STETH_SHOW").is_some() {
        println!("{} {counts:#?}", counts.len());
    }
    for route in [
        "/api/v1/namespaces/{name}/pods/{name}/log",
        "/repos/{name}/{name}/issues/{id}/comments",
        "/v1/payment_intents/{id}/confirm",
        "/api/chat.postMessage",
        "/healthz",
    ] {
        assert!(counts.contains_key(route), "{route} {:#?}", counts.keys());
    }
}

#[test]
fn each_style_alone_gives_the_same_routes_in_any_order() {
    type Style = fn(&mut Random) -> String;
    // A forge whose owners stand first, most of them plain words, a few of them much asked for.
    let forge: Style = |random| {
        let (owner, repo) = match random.next(3) {
            0 => (
                random.of(&["rustling", "pythonic"]).to_owned(),
                random.of(&["core", "book"]).to_owned(),
            ),
            _ => (random.user(), random.user()),
        };
        let tab = random.of(&[
            "",
            "/issues",
            "/pulls",
            "/wiki",
            "/network",
            "/tree/main",
            "/blame/main",
            "/security",
        ]);
        format!("/{owner}/{repo}{tab}")
    };
    // Many methods in one place: there is no telling them from names, so they are taken for names.
    let remote_calls: Style = |random| format!("/rpc/{}.{}", random.of(FIRST), random.of(LAST));
    let styles: [(&str, Style, usize); 10] = [
        ("github", Random::github, 20),
        ("stripe", Random::stripe, 10),
        ("kubernetes", Random::kubernetes, 20),
        ("s3", Random::s3, 10),
        ("shop", Random::shop, 20),
        ("slack", Random::slack, 20),
        ("blog", Random::blog, 10),
        ("forge", forge, 20),
        ("rpc", remote_calls, 2),
        ("all", |random| random.paths(1).remove(0), 80),
    ];
    for (name, style, most) in styles {
        let mut random = Random(11);
        let mut paths: Vec<String> = (0..4000).map(|_| style(&mut random)).collect();
        let one = Agent::new(256, &[]).all(paths.iter().map(String::as_str));
        let counts = one.counts();
        if std::env::var_os("STETH_SHOW").is_some() {
            println!("{name}: {} {counts:#?}", counts.len());
        }
        assert_eq!(counts.values().sum::<u64>(), 4000);
        assert!(counts.len() <= most, "{name}: {} {counts:#?}", counts.len());
        paths.sort();
        for order in 0..4 {
            if order > 0 {
                random.shuffle(&mut paths);
            }
            let other = Agent::new(256, &[]).all(paths.iter().map(String::as_str));
            assert_eq!(
                other.counts(),
                counts,
                "{name}, order {order}, breadth {}",
                other.routes.breadth
            );
        }
    }
}

#[test]
fn no_value_is_left_in_a_route() {
    let mut random = Random(7);
    let paths = random.paths(20_000);
    let agent = Agent::new(256, &[]).all(paths.iter().map(String::as_str));
    for route in agent.counts().keys() {
        for segment in route.split('/') {
            let digits = segment.bytes().filter(u8::is_ascii_digit).count();
            assert!(digits <= 1, "{route}");
            assert!(segment.len() <= 32 && !segment.contains(['@', '%']), "{route}");
            let name =
                FIRST.iter().any(|f| LAST.iter().any(|l| segment.starts_with(&format!("{f}{l}"))));
            assert!(!name || segment.starts_with("contact"), "{route}");
        }
    }
}

#[test]
fn small_budget_is_kept_and_totals_are_exact() {
    for budget in [0, 1, 2, 10, 40] {
        let mut random = Random(3);
        let paths = random.paths(5000);
        let agent = Agent::new(budget, &[]).all(paths.iter().map(String::as_str));
        assert!(agent.routes.len() <= budget, "{budget}: {}", agent.routes.len());
        assert_eq!(agent.counts().values().sum::<u64>(), 5000);
    }
}

#[test]
fn paths_made_to_multiply_do_not() {
    let mut random = Random(5);
    let known =
        ["api", "users", "admin", "v1", "v2", "search", "orders", "login", "static", "7", "x7y"];
    let mut agent = Agent::new(256, &[]);
    for _ in 0..20_000 {
        let segments: Vec<String> = (0..random.next(14))
            .map(|_| match random.next(3) {
                0 => {
                    let length = random.next(9);
                    random.text("abcdefghijklmnopqrstuvwxyz", length)
                }
                _ => random.of(&known).to_owned(),
            })
            .collect();
        agent.see(&format!("/{}", segments.join("/")), Minting::Allowed);
    }
    assert!(agent.routes.len() <= 256);
    assert_eq!(agent.routes.breadth, 0);
    assert!(agent.routes.names.len() <= 1024 && agent.routes.memo.len() <= MEMO.1);
    assert_eq!(agent.counts().values().sum::<u64>(), 20_000);
}

#[test]
fn budget_of_all_services_is_kept() {
    let mut agent = Agent::new(100, &[]);
    agent.rules.total = 3;
    let agent = agent.all(["/a1/x", "/healthz", "/users", "/orders", "/orders/7", "/users"]);
    assert_eq!(agent.routes.len(), 3);
    assert_eq!(agent.counts().values().sum::<u64>(), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn routes_are_a_function_of_the_set_of_paths(
        words in prop::collection::vec(
            prop::collection::vec("[a-f]{1,2}|ab[0-9]|[0-9]|[0-9][a-z]{2}|api|users|x-y-z-w", 0..5), 0..300),
        seed in any::<u64>(),
    ) {
        let path = |w: &Vec<String>| format!("/{}", w.join("/"));
        let mut paths: Vec<String> = words.iter().map(path).collect();
        let one = Agent::new(10_000, &[]).all(paths.iter().map(String::as_str));
        Random(seed).shuffle(&mut paths);
        let two = Agent::new(10_000, &[]).all(paths.iter().map(String::as_str));
        prop_assert_eq!(one.counts(), two.counts());
        prop_assert_eq!(one.counts().values().sum::<u64>(), paths.len() as u64);
    }

    #[test]
    fn any_text_has_a_route_or_other(path in "\\PC*|/(.|\\n){0,80}") {
        let mut agent = Agent::new(10, &["/x/{a}", "/y/*"]);
        agent.see(&path, Minting::Allowed);
        agent.see(&format!("/{path}"), Minting::Refused);
        prop_assert_eq!(agent.counts().values().sum::<u64>(), 2);
    }
}
