//! The table's grammar.

/// Defines the instruments of a family and `ALL`, their list.
///
/// A line is: `NAME: kind, "name", "unit" [nanos], "description", by [KEYS], from "source", asks
/// "question";`. A kind is `counter`, `updowncounter`, `gauge` or `histogram BOUNDS`; with `nanos` whole
/// numbers are nanoseconds and the unit is seconds. Keys are named as in `metric::key`.
#[macro_export]
macro_rules! instruments {
    (@scale) => { $crate::metric::instrument::Scale::One };
    (@scale nanos) => { $crate::metric::instrument::Scale::NanosToSeconds };
    (@kind counter) => { $crate::metric::instrument::Kind::Counter };
    (@kind updowncounter) => { $crate::metric::instrument::Kind::UpDownCounter };
    (@kind gauge) => { $crate::metric::instrument::Kind::Gauge };
    (@kind histogram $bounds:ident) => { $crate::metric::instrument::Kind::Histogram(&$bounds) };
    ($(
        $id:ident: $kind:ident $($bounds:ident)?, $name:literal, $unit:literal $($scale:ident)?,
        $description:literal,
        by [$($key:ident),* $(,)?], from $source:literal, asks $question:literal;
    )*) => {
        $(
            #[doc = $description]
            pub static $id: $crate::metric::instrument::Instrument =
                $crate::metric::instrument::Instrument {
                    name: $name,
                    unit: $unit,
                    description: $description,
                    kind: $crate::instruments!(@kind $kind $($bounds)?),
                    scale: $crate::instruments!(@scale $($scale)?),
                    attributes: &[$($crate::metric::key::$key),*],
                    source: $source,
                    question: $question,
                };
        )*

        /// All of them.
        pub static ALL: &[&$crate::metric::instrument::Instrument] = &[$(&$id),*];
    };
}
