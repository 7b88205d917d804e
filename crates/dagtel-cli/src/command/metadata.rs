//! `dagtel metadata`: the compressed metadata of a DAG, in and out.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dagtel_usage::limits::{METADATA_JSON_BYTES, METADATA_TEXT_BYTES};
use dagtel_usage::metadata::{self, MetadataError};

use crate::input::{self, Input};
use crate::{Outcome, terminal};

/// Which way.
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Read the JSON text of an object, and print it compressed as Cosmos puts it on a DAG
    Compress(Source),
    /// Read compressed metadata, and print the JSON text in it
    Decompress(Source),
}

#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The file to read; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    match options {
        Options::Compress(source) => convert(&source.file, METADATA_JSON_BYTES, compress),
        Options::Decompress(source) => convert(&source.file, METADATA_TEXT_BYTES, decompress),
    }
}

fn convert(
    file: &Path,
    most: usize,
    convert: impl FnOnce(&str) -> Result<String, MetadataError>,
) -> anyhow::Result<Outcome> {
    let text = match input::text(file, most)? {
        Input::Text(text) => text,
        Input::Bad(problem) => return Ok(refuse(file, &problem)),
    };
    match convert(&text) {
        Ok(converted) => {
            terminal::say(&(converted + "\n"));
            Ok(Outcome::Ok)
        }
        Err(error) => Ok(refuse(file, &error.to_string())),
    }
}

fn refuse(file: &Path, problem: &str) -> Outcome {
    terminal::complain(&format!("{}: {problem}", input::name(file)));
    Outcome::BadInput
}

fn compress(json: &str) -> Result<String, MetadataError> {
    metadata::compress(&metadata::from_json(json)?)
}

fn decompress(text: &str) -> Result<String, MetadataError> {
    // The line's end is the shell's, not the text's.
    metadata::to_json(&metadata::decompress(text.trim())?)
}
