//! Prepares everything that the end-to-end tests need: the stack, the image, the chart.

use anyhow::Result;
use clap::Parser;
use e2e::{Target, install};

#[derive(Parser)]
struct Args {
    /// Build and import the image, and print its reference; install nothing
    #[arg(long)]
    only_image: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if std::env::var_os("BATCH_E2E_KUBECONFIG").is_none() {
        stack::Stack::from_env().up(&stack::Progress::new())?;
    }
    let mut target = Target::load()?;
    target.shell.echo = true;
    install::build(&target)?;
    let image = install::image(&target)?;
    if args.only_image {
        println!("{image}");
        return Ok(());
    }
    install::helm(&target, &image)
}
