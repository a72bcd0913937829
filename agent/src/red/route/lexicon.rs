//! Words that name resources and actions in the URLs of very many services: static wherever they
//! stand. A fixed list, so every agent knows the same ones.

/// What a known word says about the segments around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Names a set of things: the segment behind it is the name of one of them.
    Collection,
    /// Names two-part things (`/repos/owner/name`).
    Pairs,
    /// Stands as itself even where a name could stand (`/users/me`).
    Action,
    /// Stands as itself, but not where a name is expected.
    Plain,
}

const COLLECTIONS: &str = "accounts activities ads addresses agents albums alerts answers applications \
    apps articles artifacts artists assignments attachments attributes audits authors backups badges \
    balances bookings boards books bots branches brands buckets builds businesses bundles calendars \
    campaigns cards carts cases catalogs categories certificates channels chapters charges chats \
    checkouts cities classes clients clusters codes collaborators collections columns comments commits \
    companies components configmaps connections contacts containers contents contracts contributors \
    conversations countries coupons courses credentials cronjobs crds currencies customers daemonsets \
    dashboards databases datasets deliveries departments deployments devices disputes docs documents \
    domains drafts editions emails employees endpoints endpointslices entities entries environments \
    episodes events exams exports facilities feeds fields files filters flags flavors flows folders \
    followers forms friends functions games genres gists grants groups guilds holidays hooks hosts \
    hotels images imports incidents indices ingresses inputs instances integrations intents invites \
    invitations invoices issues items jobs keys keypairs labels languages layers leads leases lessons \
    libraries lists locations logs machines mailboxes managers markets matches measurements media \
    meetings members memberships merchants merges messages metrics milestones models modules monitors \
    movies namespaces networks newsletters nodes notebooks notes notifications objects offers \
    operations operators orders organisations organizations orgs outputs owners packages pages \
    parameters participants partners passengers patients payments payouts people permissions \
    persistentvolumeclaims persistentvolumes phones photos pipelines places plans platforms players \
    playlists plugins pods podcasts policies polls pools portfolios positions posts prices processes \
    products profiles programs projects properties providers publishers pulls purchases queries \
    questions queues quotes reactions rates ratings recipes records refs refunds regions registries \
    releases reminders replicasets reports requests reservations resources restaurants results reviews \
    revisions roles rolebindings rooms routers routes rules runs runners schedules schemas scopes \
    screens scripts seasons secrets sections segments sellers senders series servers \
    serviceaccounts services sessions sets shipments shops shows sites skus snapshots songs sources \
    spaces sprints stages stargazers statefulsets stations statements steps stocks stores stories \
    streams students subjects subnets subscribers subscriptions suppliers surveys suites symbols tables \
    tags targets tasks teachers teams templates tenants terms threads tickets timers titles \
    tokens topics tournaments tracks trades trains transactions transfers trees trips users values \
    variables vehicles vendors venues versions videos views visitors volumes wallets warehouses \
    watchers webhooks widgets workers workflows workspaces zones user org product \
    order item post project team channel article category tag profile page u p";

const PAIRS: &str = "repos repositories";

const ACTIONS: &str = "accept activate active add all approve archive assign attach authorize batch \
    block bulk calculate cancel capture check clone close complete compare confirm copy count create \
    current custom deactivate decline delete detach disable download edit enable exec execute export \
    feed find finalize follow generate history import index info invite join latest leave like list \
    lock login logout lookup me merge mine move new next open pause pay pending popular preview \
    previous publish query random read recent recommended refresh register reject remove rename \
    reopen reorder replace reply reset resend resolve restart restore resume retry revoke run save \
    search self send share signin signout signup start stats status stop stream subscribe suggest \
    suggestions summary suspend sync test top transfer trending trigger unfollow unlock unread \
    unsubscribe upcoming update upload usage validate verify void watch binding eviction log portforward proxy \
    scale token attachments-upload batch-get autocomplete counts download-url settings preferences \
    avatar password permissions-check";

const PLAIN: &str = "about access actions actuator admin analytics api apis app archives asset assets auth \
    authorization balance billing blog blogs bucket build cache callback cart catalog cdn cgi-bin \
    chat checkout client cloud collection com comment config configuration connect console contact \
    content contract core cron css dashboard data debug demo dev discover dist docs-ui documentation \
    download-file downloads email en env error errors events-stream explore external extensions \
    favicon feature features feedback file flag font fonts forgot-password forum git global gateway \
    graphql group guide health healthcheck healthz heartbeat help home host hook html http hub i18n \
    icon icons identity image img inbox incident info-refs ingest install integration internal inventory \
    invoice issue job js json jwks key lang legal lib library live liveness locale locales location \
    login-callback mail main management manifest map maps me-profile media-files member menu message \
    meta metadata metric mobile monitoring my network news node notification oauth oauth2 object \
    objects-list offer offline openapi openid-connect operation overview payment pdf permission ping \
    plan platform policy portal price pricing privacy private prometheus protocol provider public \
    push raw readiness readme ready readyz realms receipt redirect redoc region release report \
    resource rest review role root rpc rss rule s3 sandbox schema scim script scripts sdk security \
    server service session setup shipping shop sitemap sms socket ssl sso state static storage store \
    storefront style styles subscription support swagger swagger-ui system task template terms-of-service \
    theme themes ticket time tmp topic trace track tracking transaction tree ui upload-file uploads url \
    userinfo util validation vendor version video view wallet web webapi webhook websocket well-known \
    wiki wishlist workflow wp-admin wp-content wp-includes wp-json ws xml apps-script default-config \
    blob blame commit pull tree-commits batch-requests livez metrics-server authentication \
    apiextensions certificates-signing networking autoscaling coordination discovery node-lease rbac";

/// The class of a word, whatever its case.
pub(super) fn class(word: &str) -> Option<Class> {
    use std::collections::HashMap;
    use std::sync::LazyLock;
    static WORDS: LazyLock<HashMap<&'static str, Class>> = LazyLock::new(|| {
        [
            (PLAIN, Class::Plain),
            (ACTIONS, Class::Action),
            (COLLECTIONS, Class::Collection),
            (PAIRS, Class::Pairs),
        ]
        .into_iter()
        .flat_map(|(words, class)| words.split_whitespace().map(move |word| (word, class)))
        .collect()
    });
    if word.len() > 24 {
        return None;
    }
    if word.bytes().any(|b| b.is_ascii_uppercase()) {
        return WORDS.get(word.to_ascii_lowercase().as_str()).copied();
    }
    WORDS.get(word).copied()
}
