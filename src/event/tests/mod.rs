//! Events from the outside of the module: by examples, and by seed against the rules written a second time.

mod builder;
mod encoder;
mod fast_path;
mod generators;
mod reference;
