//! Environment runners in processes of their own: both ends, as far as Python is concerned. `python/skirl/_worker.py` is the
//! program; how the two talk is in the crate `skirl-process`.

mod host;
mod launcher;
mod visit;

pub(crate) use host::worker_main;
pub(crate) use launcher::install_launcher;
pub(crate) use visit::visit_elsewhere;
