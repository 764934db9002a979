//! HCL 1 and JSON configuration text, parsed into one positioned tree.
