//! `stack`: the local stack from the command line.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use stack::{Binary, ControlPlane, Endpoints, Fault, Part, Progress, Stack, status};

/// Starts, checks and stops Kubernetes (with real pods), Kafka and ClickHouse on this machine.
///
/// Everything comes from package registries and is pinned. The first `up` builds Kubernetes, which takes some minutes;
/// each later one takes seconds. Needs root and Debian.
#[derive(Debug, Parser)]
#[command(name = "stack", version, after_help = FOLDERS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FOLDERS: &str = "\
Environment:
  BATCH_STACK_CACHE  downloads and builds, default ~/.cache/batch-on-kafka
  BATCH_STACK_DATA   data, logs, certificates and pid files, default /var/lib/batch-on-kafka";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start what does not run, and print the addresses
    Up(Up),
    /// Stop everything; only the data is kept
    Down {
        /// Also remove the data: the next start has a new cluster, broker and database
        #[arg(long)]
        purge: bool,
    },
    /// Show each part with its health, pid, version and addresses; exit code 1 if one does not work
    Status {
        /// How to print the status
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Make one image from binaries, import it into the node, and print its reference
    Images {
        /// NAME=PATH; the file is /usr/bin/NAME in the image. May be repeated
        #[arg(long = "bin", value_name = "NAME=PATH", required = true)]
        binaries: Vec<Binary>,
    },
    /// Send a signal to a part, for fault tests
    Signal {
        /// The part
        part: Part,
        /// The signal
        signal: Fault,
    },
    /// Stop a part and start it again; returns when it works
    Restart {
        /// The part
        part: Part,
    },
    /// Print the path of a program or file of the stack; a program is built first if needed
    Path {
        /// The program or file
        what: Thing,
    },
}

#[derive(Debug, Args)]
struct Up {
    /// Only etcd, kube-apiserver and kube-controller-manager, on loopback and free ports: no pod will run
    #[arg(long)]
    control_plane_only: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Thing {
    Helm,
    Kubectl,
    Kubeconfig,
    Bin,
    Logs,
    Data,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let stack = Stack::from_env();
    let alone = stack.control_plane();
    match command {
        Command::Up(Up { control_plane_only: true }) => {
            let plane = ControlPlane::start_detached(&alone)?;
            println!("Kubernetes API   {} (without a node)", plane.url);
            println!("\nexport KUBECONFIG={}", plane.kubeconfig.display());
            plane.leave_running();
        }
        Command::Up(_) => print!("{}", describe(&stack, &stack.up(&Progress::new())?)),
        Command::Down { purge } => {
            ControlPlane::stop(&alone)?;
            stack.down(purge, &Progress::new())?;
        }
        Command::Status { output } => return show_status(&stack, output),
        Command::Images { binaries } => println!("{}", stack.import_image(&binaries)?),
        Command::Signal { part, signal } => stack.signal(part, signal)?,
        Command::Restart { part } => stack.restart(part)?,
        Command::Path { what } => {
            if matches!(what, Thing::Helm | Thing::Kubectl) {
                stack.build_programs(&Progress::new())?;
            }
            println!("{}", path(&stack, what).display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_status(stack: &Stack, output: Output) -> Result<ExitCode> {
    let parts = stack.status();
    match output {
        Output::Table => print!("{}", status::render(&parts)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&parts)?),
    }
    Ok(if status::all_healthy(&parts) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn path(stack: &Stack, what: Thing) -> std::path::PathBuf {
    let paths = &stack.paths;
    match what {
        Thing::Helm => paths.program("helm"),
        Thing::Kubectl => paths.program("kubectl"),
        Thing::Kubeconfig => paths.kubeconfig(),
        Thing::Bin => paths.bin(),
        Thing::Logs => paths.logs(),
        Thing::Data => paths.data.clone(),
    }
}

fn describe(stack: &Stack, e: &Endpoints) -> String {
    let Endpoints { clickhouse_host: host, clickhouse_pods: pods, clickhouse_http_port: port, .. } = e;
    format!(
        "\nKubernetes   https://{pods}:6443 (node `local`)\n\
         Kafka        {} · pods: {}\n\
         ClickHouse   http://{host}:{port} · pods: http://{pods}:{port}, user {} password {}\n\
         logs         {}\n\n\
         export KUBECONFIG={}\n\
         export PATH={}:$PATH\n",
        e.kafka_host,
        e.kafka_pods,
        e.clickhouse_user,
        e.clickhouse_password,
        stack.paths.logs().display(),
        e.kubeconfig.display(),
        stack.paths.bin().display(),
    )
}
