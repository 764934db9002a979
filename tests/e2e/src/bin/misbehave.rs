//! A program that misbehaves.

fn main() {}
