//! Loading and attaching: picks the tier of capture, fills in the settings, attaches probe by probe.

use agent_common::{
    limit::RING_BYTES,
    settings::{ABSENT, Arch, TaskOffsets, Watch},
    signature::{Class, SIGNATURES, Signature},
    why::WhyWish,
};
use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, MapData},
    programs::{BtfTracePoint, FExit, Iter, Program},
    util::{KernelVersion, nr_cpus},
};
use zerocopy::IntoBytes;

use crate::usage::Families;

use super::{
    btf::{self, Types},
    debug::Debug,
    hosts::{self, Carry},
    maps::Kernel,
    offsets::{self, Need},
    probe::{ALL, ARRIVALS, Hook, Probe, Report, SPARE, State},
    rings, schedule,
    sweep::Sweep,
    usage, usage_offsets,
};

/// How bytes are captured; see the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Socket tracepoints (6.3).
    Sockets,
    /// Exits of the protocols' functions (5.15).
    Protocols,
    /// Exits of system calls (5.10).
    Calls,
}

impl Tier {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Sockets => 1,
            Self::Protocols => 2,
            Self::Calls => 3,
        }
    }

    /// Its number and what it is, for people.
    pub fn named(self) -> String {
        let what = match self {
            Self::Sockets => "socket tracepoints",
            Self::Protocols => "exits of the protocols' functions",
            Self::Calls => "exits of system calls",
        };
        format!("{}: {what}", self.number())
    }

    const fn bit(self) -> u8 {
        1 << (self.number() - 1)
    }
}

/// Which tier is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The cheapest that works.
    #[default]
    Auto,
    /// This one or none.
    Only(Tier),
}

/// Entries of a map that nothing is put into.
const UNUSED: u32 = 64;

/// What is wanted of the kernel side.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "wishes that are independent of each other")]
pub struct Options {
    /// Which tier of capture.
    pub tier: TierChoice,
    /// Processes that are never observed: the agent itself.
    pub own: u32,
    /// Unix sockets are watched.
    pub unix: bool,
    /// Ports in the filter.
    pub ports: Vec<u16>,
    /// They are the only ones watched; else they are left out.
    pub ports_only: bool,
    /// Bytes of the ring; 0 for the usual size. Rounded up to a power of two.
    pub ring_bytes: u32,
    /// The programs do nothing: what is measured is the hooks.
    pub empty: bool,
    /// Tier 1 leaves out one run in so many, as a kernel would that preempts programs; 0 for none. For
    /// tests.
    pub miss_every: u32,
    /// What is measured of exchanges beside their begin and end.
    pub why: Why,
    /// In which stretches of its threads' time an exchange began and was answered: what links spans.
    pub stretches: bool,
    /// Families of USE whose programs are loaded.
    pub families: Families,
    /// Traces are carried to and from other hosts.
    pub carry: Option<Carry>,
    /// Where the kernel describes its types.
    pub btf: Option<std::path::PathBuf>,
}

/// What is measured of exchanges beside their begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// Where the time of the thread went, and how long the connection waited to be accepted.
    pub time: bool,
    /// When bytes came, to the microsecond; else to the kernel's tick.
    pub arrivals: bool,
}

/// Why nothing can be observed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Built without kernel programs.
    #[error("this build has no kernel programs in it: build it with `cargo xtask build`")]
    NoPrograms,
    /// No type description.
    #[error(transparent)]
    Btf(#[from] btf::Error),
    /// A field nothing works without.
    #[error("this kernel has no {0}: it is too old, or its types are described differently")]
    Field(String),
    /// A processor without a row in the table of registers.
    #[error("system calls of this processor are not known to steth (x86-64 and arm64 are)")]
    Processor,
    /// The maps or the object were refused.
    #[error("the kernel refused the maps: {0}")]
    Load(#[source] Box<aya::EbpfError>),
    /// No tier works.
    #[error("no way of capture works on this kernel:\n{0}")]
    NoTier(String),
    /// A map is missing from the object.
    #[error("the kernel object has no map {0}: agent and object are of different builds")]
    Map(&'static str),
    /// A map could not be used.
    #[error("map {0}: {1}")]
    MapUse(&'static str, #[source] Box<aya::maps::MapError>),
}

/// Asks with a known method, answers, and last the interim answers: in the order of how often they
/// are met.
fn signatures() -> [Signature; SIGNATURES] {
    let mut table = [Signature::default(); SIGNATURES];
    let known: [(&[u8], Class); 11] = [
        (b"GET ", Class::Ask),
        (b"HTTP/1.", Class::Answer),
        (b"POST ", Class::Ask),
        (b"PUT ", Class::Ask),
        (b"HEAD ", Class::Ask),
        (b"DELETE ", Class::Ask),
        (b"OPTIONS ", Class::Ask),
        (b"PATCH ", Class::Ask),
        (b"CONNECT ", Class::Ask),
        (b"TRACE ", Class::Ask),
        (b"QUERY ", Class::Ask),
    ];
    for (place, (text, class)) in table.iter_mut().zip(known) {
        *place = Signature::of(0, text, class);
    }
    if let Some(last) = table.last_mut() {
        *last = Signature::of(4, b"/1.1 1", Class::Interim);
    }
    table
}

/// Kernel functions that are looked for: those whose exits are hooked.
const HOOKED: &[&str] = &[
    "tcp_recvmsg",
    "tcp_sendmsg",
    "tcp_sendpage",
    "unix_stream_recvmsg",
    "unix_stream_sendmsg",
    "bpf_task_pt_regs",
];

/// Hooks that this kernel does not have at all, so that trying them would say nothing.
fn absent_hooks(types: &Types) -> Vec<&'static str> {
    let there = |hook: Hook| match hook {
        Hook::Tracepoint(name) => types.has_tracepoint(name),
        Hook::Exit(name) => types.parameters(name).is_some(),
        Hook::Iterator(..) => true,
    };
    ALL.iter().map(|probe| probe.hook).filter(|hook| !there(*hook)).map(Hook::name).collect()
}

/// Whether a program on a tracepoint can be preempted: since 7.0.
fn preempts_programs() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(7, 0, 0))
}

fn hand_over_signatures(bpf: &mut Ebpf) -> Result<(), Error> {
    const MAP: &str = "SIGNATURES_KNOWN";
    let used = |e| Error::MapUse(MAP, Box::new(e));
    let map = bpf.map_mut(MAP).ok_or(Error::Map(MAP))?;
    let mut map: Array<&mut MapData, [u64; 3]> = Array::try_from(map).map_err(used)?;
    for (i, signature) in (0..).zip(signatures()) {
        let words: [u64; 3] = zerocopy::transmute!(signature);
        map.set(i, words, 0).map_err(used)?;
    }
    Ok(())
}

/// Every hook is in place: from here on they tell what they see.
fn begin(bpf: &mut Ebpf) -> Result<(), Error> {
    const MAP: &str = "READY";
    let used = |e| Error::MapUse(MAP, Box::new(e));
    let map = bpf.map_mut(MAP).ok_or(Error::Map(MAP))?;
    let mut map: Array<&mut MapData, u32> = Array::try_from(map).map_err(used)?;
    map.set(0, 1, 0).map_err(used)
}

/// Loads `object` and attaches what this kernel allows.
pub fn load(object: Option<&[u8]>, options: &Options) -> Result<Kernel, Error> {
    let object = object.ok_or(Error::NoPrograms)?;
    let arch = Arch::HOST.ok_or(Error::Processor)?;
    let path =
        options.btf.clone().unwrap_or_else(|| std::path::PathBuf::from("/sys/kernel/btf/vmlinux"));
    let structs = [offsets::STRUCTS, usage_offsets::STRUCTS, schedule::STRUCTS].concat();
    let functions = [HOOKED, usage::FUNCTIONS, schedule::FUNCTIONS].concat();
    let types = Types::read(&path, &structs, &functions)?;
    let events = usage_offsets::resolve(&types);
    let plan = usage::plan(&types, &events.missing, options.families);
    let (sock, task, missing) = offsets::resolve(&types);
    if let Some(field) = missing.iter().find(|m| m.need == Need::Capture) {
        return Err(Error::Field(format!("{}.{}", field.of, field.path)));
    }
    let task = if options.stretches { task } else { TaskOffsets { voluntary: ABSENT, ..task } };
    let parameters = types.parameters("tcp_recvmsg").unwrap_or(5);
    let absent = absent_hooks(&types);
    let schedule = schedule::Plan::new(&types, options.families, options.why.time, options.empty);
    let why = measures(options, &schedule, &plan);
    drop(types);
    let spares = options.miss_every != 0 || preempts_programs();
    let ring_bytes = if options.ring_bytes == 0 { RING_BYTES } else { options.ring_bytes };
    let processors = nr_cpus().unwrap_or(1);
    let shape = rings::Shape::of(ring_bytes.min(1 << 30), processors);
    let watch = watch(options, shape.share / 8, spares);
    let btf = Btf::from_sys_fs().map_err(|e| Error::Load(Box::new(e.into())))?;
    let older =
        (!schedule::has_task_storage()).then(|| schedule::without_task_storage(object)).flatten();
    let mut loader = EbpfLoader::new();
    if options.carry.is_none() {
        // Requests on their way to and from other hosts: there are none.
        loader.map_max_entries("HANDS", UNUSED);
    }
    let mut bpf = loader
        .btf(Some(&btf))
        .allow_unsupported_maps()
        .override_global("SOCK", sock.as_bytes(), true)
        .override_global("TASK", task.as_bytes(), true)
        .override_global("ARCH", arch.as_bytes(), true)
        .override_global("WATCH", watch.as_bytes(), true)
        .override_global("SCHEDULE", schedule.offsets.as_bytes(), true)
        .override_global("SCHEDULE_WISH", schedule.wish.as_bytes(), true)
        .override_global("CALLS", schedule.calls.as_bytes(), true)
        .override_global("WHY", why.as_bytes(), true)
        .override_global("EVENT_AT", events.at.as_bytes(), true)
        .override_global("RECVMSG_PARAMETERS", parameters.as_bytes(), true)
        .load(older.as_deref().unwrap_or(object))
        .map_err(|e| Error::Load(Box::new(e)))?;

    hand_over_signatures(&mut bpf)?;
    let rings = rings::hand_over(&mut bpf, shape)?;
    let debug = Debug::listen(&mut bpf);
    let walk = missing.iter().find(|m| m.need == Need::Walk);
    let life = missing.iter().find(|m| m.need == Need::Life);
    let lacks = |probe: &Probe| -> Option<State> {
        if absent.contains(&probe.hook.name()) {
            // What is not there is done elsewhere in this kernel.
            return Some(State::Disabled { why: "this kernel does not have the hook".to_owned() });
        }
        if !spares && probe.program.ends_with(SPARE) {
            let why = "this kernel does not preempt programs on tracepoints".to_owned();
            return Some(State::Disabled { why });
        }
        if !options.why.arrivals && probe.program == ARRIVALS {
            let why = "nobody asks when bytes came (`traces.why: exact` with spans on)".to_owned();
            return Some(State::Disabled { why });
        }
        let field = if probe.tiers == Tier::Calls.bit() {
            walk
        } else if probe.program.starts_with("process_") {
            life
        } else {
            None
        };
        let why = |f: &offsets::Missing| format!("this kernel has no {}.{}", f.of, f.path);
        field.map(|f| State::Failed { why: why(f) })
    };
    let (tier, mut reports) = attach_first(&mut bpf, &btf, options.tier, &lacks)?;
    let sweep = attach_sweep(&mut bpf, &btf, tier, &mut reports);
    let threads = schedule::attach(&mut bpf, &btf, &schedule, &mut reports);
    reports.push(account_report(options, &schedule, threads.is_ok()));
    let mut tables = usage::attach(&mut bpf, &btf, &plan, events.reasons, &mut reports);
    tables.threads(threads);
    begin(&mut bpf)?;
    let hosts = hosts::attach(&mut bpf, options.carry.as_ref(), tier, &mut reports);
    for probe in ALL {
        if !reports.iter().any(|r| r.name == probe.program) {
            let why = format!("capture tier {} does not need it", tier.number());
            reports.push(report(probe, State::Disabled { why }));
        }
    }
    drop(btf);
    super::trim::give_back();
    let mut kernel = Kernel::new(bpf, tier, reports, sweep, debug, rings, options)?;
    kernel.keep_tables(tables);
    kernel.keep_hosts(hosts);
    Ok(kernel)
}

/// What the programs are to watch.
fn watch(options: &Options, high_water: u32, spares: bool) -> Watch {
    Watch {
        own: options.own,
        ports_only: u32::from(options.ports_only),
        ports: u32::from(!options.ports.is_empty()),
        processes: 1,
        unix: u32::from(options.unix),
        high_water,
        carry: u32::from(options.carry.is_some()),
        empty: u32::from(options.empty),
        spares: u32::from(spares),
        miss_every: options.miss_every,
    }
}

/// What the programs are to measure of exchanges.
fn measures(options: &Options, schedule: &schedule::Plan, plan: &usage::Plan) -> WhyWish {
    let Why { time, arrivals } = options.why;
    WhyWish {
        thread: u32::from(thread_account(options, schedule).is_ok()),
        arrival: u32::from(arrivals),
        established: u32::from(time && usage::keeps_sockets(plan)),
        tick: if time && !arrivals { tick() } else { 0 },
    }
}

/// How the measure of threads' time fares, which is no program of its own.
fn account_report(options: &Options, schedule: &schedule::Plan, attached: bool) -> Report {
    let account = thread_account(options, schedule);
    let account = account.and(if attached { Ok(()) } else { Err("see `switch`".to_owned()) });
    Report {
        name: "request_time",
        hook: "sched_switch",
        loss: "where the time of a request went: processor, run queue, waits",
        state: account.err().map_or(State::Active, |why| State::Disabled { why }),
    }
}

/// Nanoseconds between two ticks of the kernel.
fn tick() -> u32 {
    let coarse = rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse);
    u32::try_from(coarse.tv_nsec).unwrap_or(0)
}

/// Whether exchanges can be told what their threads did, or why not.
fn thread_account(options: &Options, schedule: &schedule::Plan) -> Result<(), String> {
    if !options.why.time {
        return Err("no spans are made, or `traces.why` is off".to_owned());
    }
    match &schedule.out {
        Some(why) => Err(why.clone()),
        None if schedule.wish.off == 0 => Err("the family scheduler is off".to_owned()),
        None => Ok(()),
    }
}

fn report(probe: &Probe, state: State) -> Report {
    Report { name: probe.program, hook: probe.hook.name(), loss: probe.loss, state }
}

/// Attaches the first tier of `choice` that works, and says how all those tried fare.
fn attach_first(
    bpf: &mut Ebpf,
    btf: &Btf,
    choice: TierChoice,
    lacks: &dyn Fn(&Probe) -> Option<State>,
) -> Result<(Tier, Vec<Report>), Error> {
    let tiers: &[Tier] = match choice {
        TierChoice::Auto => &[Tier::Sockets, Tier::Protocols, Tier::Calls],
        TierChoice::Only(Tier::Sockets) => &[Tier::Sockets],
        TierChoice::Only(Tier::Protocols) => &[Tier::Protocols],
        TierChoice::Only(Tier::Calls) => &[Tier::Calls],
    };
    let mut reports: Vec<Report> = Vec::new();
    let mut chosen = None;
    for tier in tiers {
        match attach_tier(bpf, btf, *tier, lacks) {
            Ok(active) => {
                reports.extend(active);
                chosen = Some(*tier);
                break;
            }
            Err(failed) => reports.extend(failed),
        }
    }
    let Some(tier) = chosen else {
        let why = reports
            .iter()
            .filter_map(|r| match &r.state {
                State::Failed { why } | State::Disabled { why } => {
                    Some(format!("  {} on {}: {why}", r.name, r.hook))
                }
                State::Active => None,
            })
            .collect::<Vec<_>>();
        return Err(Error::NoTier(why.join("\n")));
    };
    // A dearer tier does the same: nothing is lost, so nothing has failed.
    for report in reports.iter_mut().filter(|_| choice == TierChoice::Auto) {
        let of_tier = ALL.iter().any(|p| p.program == report.name && p.tiers & tier.bit() != 0);
        if let State::Failed { why } = &report.state
            && !of_tier
        {
            report.state =
                State::Disabled { why: format!("tier {} is used: {why}", tier.number()) };
        }
    }
    Ok((tier, reports))
}

/// Attaches all of a tier; on a failure of a required probe detaches them again and says why.
fn attach_tier(
    bpf: &mut Ebpf,
    btf: &Btf,
    tier: Tier,
    lacks: &dyn Fn(&Probe) -> Option<State>,
) -> Result<Vec<Report>, Vec<Report>> {
    let mut reports = Vec::new();
    let mut attached: Vec<&Probe> = Vec::new();
    let mine = ALL.iter().filter(|p| p.tiers & tier.bit() != 0);
    for probe in mine.filter(|p| !matches!(p.hook, Hook::Iterator(..))) {
        let refused = |why| State::Failed { why };
        let outcome = lacks(probe).map_or_else(|| attach(bpf, btf, probe).map_err(refused), Err);
        match outcome {
            Ok(()) => {
                attached.push(probe);
                reports.push(report(probe, State::Active));
            }
            Err(state) if probe.required => {
                for probe in attached {
                    detach(bpf, probe);
                }
                return Err(vec![report(probe, state)]);
            }
            Err(state) => reports.push(report(probe, state)),
        }
    }
    Ok(reports)
}

fn attach(bpf: &mut Ebpf, btf: &Btf, probe: &Probe) -> Result<(), String> {
    attach_to(bpf, btf, probe.program, probe.hook)
}

/// Loads `program` and attaches it to `hook`; iterators are linked elsewhere.
pub(super) fn attach_to(
    bpf: &mut Ebpf,
    btf: &Btf,
    program: &str,
    hook: Hook,
) -> Result<(), String> {
    let program = bpf.program_mut(program).ok_or("not in the kernel object")?;
    match hook {
        Hook::Tracepoint(hook) => {
            let program: &mut BtfTracePoint = program.try_into().map_err(chain)?;
            if program.fd().is_err() {
                program.load(hook, btf).map_err(chain)?;
            }
            program.attach().map_err(chain)?;
        }
        Hook::Exit(hook) => {
            let program: &mut FExit = program.try_into().map_err(chain)?;
            if program.fd().is_err() {
                program.load(hook, btf).map_err(chain)?;
            }
            program.attach().map_err(chain)?;
        }
        Hook::Iterator(hook, _) => {
            let program: &mut Iter = program.try_into().map_err(chain)?;
            program.load(hook, btf).map_err(chain)?;
        }
    }
    Ok(())
}

fn detach(bpf: &mut Ebpf, probe: &Probe) {
    // Unloading drops the links with the program; a later tier may load it again.
    let outcome = match bpf.program_mut(probe.program) {
        Some(Program::BtfTracePoint(program)) => program.unload(),
        Some(Program::FExit(program)) => program.unload(),
        _ => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, program = probe.program, "could not unload");
    }
}

fn attach_sweep(bpf: &mut Ebpf, btf: &Btf, tier: Tier, reports: &mut Vec<Report>) -> Option<Sweep> {
    let probe =
        ALL.iter().find(|p| matches!(p.hook, Hook::Iterator(..)) && p.tiers & tier.bit() != 0)?;
    let Hook::Iterator(hook, map) = probe.hook else { return None };
    let outcome = (|| {
        let program: &mut Iter = bpf
            .program_mut(probe.program)
            .ok_or("not in the kernel object")?
            .try_into()
            .map_err(chain)?;
        program.load(hook, btf).map_err(chain)?;
        Sweep::attach(bpf, probe.program, map).map_err(|e| e.to_string())
    })();
    match outcome {
        Ok(sweep) => {
            reports.push(report(probe, State::Active));
            Some(sweep)
        }
        Err(why) => {
            reports.push(report(probe, State::Failed { why }));
            None
        }
    }
}

/// An error with everything behind it, one line, verifier logs cut to their end.
pub(super) fn chain<E: std::error::Error>(error: E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    let cut = text.char_indices().rev().nth(1500).map_or(0, |(i, _)| i);
    text.split_off(cut)
}
