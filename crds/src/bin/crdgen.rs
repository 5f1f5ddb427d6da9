//! Writes the CRDs as YAML: `crdgen DIR` makes `DIR/ingestmodels.yaml` and `DIR/ingestjobs.yaml`.

use std::{env, fs, path::Path, process::ExitCode};

use crds::{IngestJob, IngestModel};
use kube::CustomResourceExt;

fn main() -> ExitCode {
    let Some(dir) = env::args().nth(1) else {
        eprintln!("usage: crdgen DIR");
        return ExitCode::from(2);
    };
    let written = write(Path::new(&dir), "ingestmodels", &IngestModel::crd())
        .and_then(|()| write(Path::new(&dir), "ingestjobs", &IngestJob::crd()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crdgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(dir: &Path, name: &str, crd: &impl serde::Serialize) -> Result<(), Box<dyn std::error::Error>> {
    let yaml = serde_yaml::to_string(crd)?;
    let text = format!("# Made by crdgen from crds/src (make generate). Do not edit.\n{yaml}");
    fs::write(dir.join(format!("{name}.yaml")), text)?;
    Ok(())
}
