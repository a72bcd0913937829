//! Rounds of made-up samples against what is told of them.
