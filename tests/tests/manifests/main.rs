//! The manifests of containers say what the tested configurations say: every port, name and path of them is compared with
//! the file that the whole-system tests run. No container engine is needed, and none is started.

mod compose;
mod helm;
mod kubernetes;
mod sidecar;
mod tested;
