//! Nothing but a place for the tests beside it, which check the rules of `ARCHITECTURE.md` that
//! the compiler cannot: who may know whom, what is absent where, and how a source file begins.
