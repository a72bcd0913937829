//! An error in one line, for people: each cause once.

use std::error::Error;

/// The error and what is behind it. Many errors say their cause themselves; that is not said again.
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::told;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("silent")]
        Silent(#[source] std::io::Error),
        #[error("says {0} itself")]
        Saying(#[source] std::io::Error),
    }

    #[test]
    fn says_each_cause_once() {
        let check = |error: &(dyn std::error::Error + 'static), expect| {
            assert_eq!(told(error), expect);
        };
        let cause = || std::io::Error::other("why");
        check(&cause(), "why");
        check(&Outer::Silent(cause()), "silent: why");
        check(&Outer::Saying(cause()), "says why itself");
    }
}
