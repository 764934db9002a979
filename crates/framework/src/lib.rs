//! What engines are written with: routes, typed fields, lenient decoding, path help.
