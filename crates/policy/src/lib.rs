//! Access policies: parse, compile, decide. Pure, no IO.
