//! Fixtures that run one test in process and over the real wire.
