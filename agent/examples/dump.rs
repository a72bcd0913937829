//! Prints events.
#![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout)]
use steth::kernel::*;
fn main() {
    let raw =
        std::fs::read(std::env::var("OBJ").unwrap_or("target/kernel/steth.o".into())).unwrap();
    let tier = match std::env::var("TIER").as_deref() {
        Ok("1") => TierChoice::Only(Tier::Sockets),
        Ok("2") => TierChoice::Only(Tier::Protocols),
        Ok("3") => TierChoice::Only(Tier::Calls),
        _ => TierChoice::Auto,
    };
    let mut k = match load(
        Some(&raw),
        &Options { own: std::process::id(), unix: true, tier, ..Default::default() },
    ) {
        Ok(k) => k,
        Err(e) => {
            println!("{e}");
            return;
        }
    };
    for r in &k.reports {
        println!("{r:?}");
    }
    let quiet = std::env::args().nth(1).is_some();
    let mut n = 0u64;
    for i in 0.. {
        std::thread::sleep(std::time::Duration::from_millis(20));
        k.drain(1 << 20, |b| {
            n += 1;
            if !quiet {
                match steth::event::decode(b) {
                    Ok(e) => match e {
                        steth::event::Event::Pair(p) => println!(
                            "PAIR {:?} {:?} ask {:?} answer {:?}",
                            p.end,
                            p.header,
                            String::from_utf8_lossy(p.ask),
                            String::from_utf8_lossy(p.answer)
                        ),
                        steth::event::Event::Segment(p) => {
                            println!("SEG {:?} {:?}", p.header, String::from_utf8_lossy(p.data))
                        }
                        steth::event::Event::Exec(p) => println!(
                            "EXEC {:?} {:?} env {}",
                            p.header,
                            String::from_utf8_lossy(p.args),
                            p.env.len()
                        ),
                        e => println!("{e:?}"),
                    },
                    Err(e) => println!("BAD {e:?}"),
                }
            }
        });
        if i % 100 == 99 {
            println!("n {n} counts {:?}", k.counts());
            let r = k.sweep(0, |b| match steth::event::decode(b) {
                Ok(steth::event::Event::Pair(p)) => {
                    println!("SWEEP {:?} {:?}", p.end, String::from_utf8_lossy(p.ask))
                }
                Ok(e) => println!("SWEEP {e:?}"),
                Err(e) => println!("SWEEP BAD {e:?}"),
            });
            println!("sweep {r:?}");
        }
    }
}
