//! The parts on which tests and demo run: the local stack (`stack up`), or an existing cluster.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stack::{Endpoints, Paths};

use crate::shell::{Output, Shell};
use crate::wait::until;

/// The namespace in which the chart is installed.
pub const SYSTEM_NAMESPACE: &str = "batch-system";

/// What is needed to connect to the parts, from this machine and from pods.
#[derive(Clone, Debug)]
pub struct Target {
    /// Runs commands with `KUBECONFIG`, and with the project's binaries in the path.
    pub shell: Shell,
    /// The addresses of the parts.
    pub parts: Endpoints,
    /// The address of the upload API, once it was looked up.
    api_url: Arc<OnceLock<String>>,
}

impl Target {
    /// Returns the cluster of `BATCH_E2E_KUBECONFIG` if that is set, otherwise the local stack, which must be up.
    pub fn load() -> Result<Self> {
        let parts = Endpoints::find(&Paths::from_env())?;
        let kubeconfig = parts.kubeconfig.to_string_lossy().into_owned();
        let path = [Some(release_dir()), parts.kubectl.parent().map(Path::to_path_buf)];
        let env = vec![("KUBECONFIG".into(), kubeconfig)];
        Ok(Self {
            shell: Shell { echo: false, env, path: path.into_iter().flatten().collect() },
            parts,
            api_url: Arc::default(),
        })
    }

    /// Returns the same target, which shows no command that it runs.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self { shell: Shell { echo: false, ..self.shell.clone() }, ..self.clone() }
    }

    /// Runs `kubectl ARGS`, which must succeed.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        let output = self.shell.run("kubectl", args)?;
        output.ok().with_context(|| format!("kubectl {}", args.join(" ")))
    }

    /// Runs `kubectl ARGS -o json`. `None` if the object does not exist.
    pub fn get(&self, args: &[&str]) -> Result<Option<Value>> {
        let all: Vec<&str> =
            ["get"].iter().chain(args).chain(&["-o", "json", "--ignore-not-found"]).copied().collect();
        let text = self.kubectl(&all)?;
        Ok(if text.trim().is_empty() { None } else { Some(serde_json::from_str(&text)?) })
    }

    /// Returns the objects of a `kubectl get` that names no object.
    pub fn list(&self, args: &[&str]) -> Result<Vec<Value>> {
        let list = self.get(args)?.unwrap_or_default();
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Applies YAML in a namespace. The caller checks the result.
    pub fn apply(&self, namespace: &str, yaml: &str) -> Result<Output> {
        self.shell.run_with("kubectl", &["apply", "-n", namespace, "-f", "-"], Some(yaml))
    }

    /// Returns the URL of the upload API from this machine: the cluster address of the Service, which a node can
    /// reach.
    pub fn api_url(&self) -> Result<String> {
        if let Ok(url) = env::var("BATCH_API_URL") {
            return Ok(url);
        }
        if let Some(url) = self.api_url.get() {
            return Ok(url.clone());
        }
        let args = ["get", "service", "-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/component=ingest-api"];
        let jsonpath = ["-o", "jsonpath={.items[0].spec.clusterIP}:{.items[0].spec.ports[0].port}"];
        let address = self.kubectl(&[&args[..], &jsonpath[..]].concat())?;
        if address.starts_with(':') || address.is_empty() {
            bail!("the chart is not installed: run `make install`");
        }
        Ok(self.api_url.get_or_init(|| format!("http://{address}")).clone())
    }

    /// Runs `batch ARGS` in a namespace.
    pub fn batch(&self, namespace: &str, args: &[&str]) -> Result<Output> {
        self.batch_shell(namespace)?.run("batch", args)
    }

    /// The same, with a file or the end of a pipe as its standard input.
    pub fn batch_from(&self, namespace: &str, args: &[&str], input: File) -> Result<Output> {
        self.batch_shell(namespace)?.run_from("batch", args, input)
    }

    fn batch_shell(&self, namespace: &str) -> Result<Shell> {
        let mut shell = self.shell.clone();
        shell.env.push(("BATCH_API_URL".into(), self.api_url()?));
        shell.env.push(("BATCH_NAMESPACE".into(), namespace.into()));
        Ok(shell)
    }

    /// Runs `curl ARGS URL` for the upload API. The path starts with `/`.
    pub fn api(&self, args: &[&str], path: &str) -> Result<Output> {
        let url = format!("{}{path}", self.api_url()?);
        let all: Vec<&str> =
            ["-sS", "--max-time", "120"].iter().chain(args).copied().chain([url.as_str()]).collect();
        self.shell.run("curl", &all)
    }

    /// Returns ClickHouse's answer to a statement, without its last line end.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let user = format!("{}:{}", self.parts.clickhouse_user, self.parts.clickhouse_password);
        let url = format!("http://{}:{}/", self.parts.clickhouse_host, self.parts.clickhouse_http_port);
        let args = ["-sS", "--fail-with-body", "--user", &user, "--data-binary", "@-", &url];
        let answer = self
            .shell
            .run_with("curl", &args, Some(statement))?
            .ok()
            .with_context(|| statement.to_owned())?;
        Ok(answer.trim_end().to_owned())
    }

    /// Loads a file into a table with ClickHouse's own reader: `INSERT INTO table FORMAT …` with the file as the body.
    pub fn sql_load(&self, statement: &str, file: &Path) -> Result<()> {
        let user = format!("{}:{}", self.parts.clickhouse_user, self.parts.clickhouse_password);
        let url = format!(
            "http://{}:{}/?query={}&async_insert=0",
            self.parts.clickhouse_host,
            self.parts.clickhouse_http_port,
            statement.replace(' ', "%20")
        );
        // `-T -` streams the file; `--data-binary` would hold it in memory.
        let args = ["-sS", "--fail-with-body", "--user", &user, "-X", "POST", "-T", "-", &url];
        let answer = self.shell.run_from("curl", &args, File::open(file)?)?;
        answer.ok().with_context(|| statement.to_owned()).map(drop)
    }

    /// Waits until the job has ended. Returns its status.
    pub fn job_end(&self, namespace: &str, job: &str, limit: Duration) -> Result<Value> {
        until(&format!("job {job} to end"), limit, || {
            let Some(object) = self.get(&["ingestjob", "-n", namespace, job])? else { return Ok(None) };
            let state = object["status"]["state"].as_str().unwrap_or_default();
            let ended = ["SUCCESS", "PARTIAL_SUCCESS", "FAILED", "CANCELLED"].contains(&state);
            Ok(ended.then(|| object["status"].clone()))
        })
        .with_context(|| self.explain(namespace, job))
    }

    /// Waits until a model is Ready. Returns its status.
    pub fn model_ready(&self, namespace: &str, model: &str) -> Result<Value> {
        until(&format!("model {model} to be Ready"), Duration::from_secs(60), || {
            let Some(object) = self.get(&["ingestmodel", "-n", namespace, model])? else { return Ok(None) };
            let ready = condition(&object, "Ready").is_some_and(|c| c["status"] == "True");
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            Ok((ready && current).then(|| object["status"].clone()))
        })
        .with_context(|| {
            self.kubectl(&["get", "ingestmodel", "-n", namespace, model, "-o", "yaml"]).unwrap_or_default()
        })
    }

    /// Returns what a person would look at when a job hangs.
    fn explain(&self, namespace: &str, job: &str) -> String {
        let kubectl = |args: &[&str]| self.kubectl(args).unwrap_or_else(|e| e.to_string());
        format!(
            "{}\n{}\n{}",
            kubectl(&["get", "ingestjob", "-n", namespace, job, "-o", "yaml"]),
            kubectl(&["get", "pods,events", "-n", namespace]),
            kubectl(&["logs", "-n", namespace, "-l", "app.kubernetes.io/name=batch-worker", "--tail=20"]),
        )
    }
}

/// Returns a condition of an object.
#[must_use]
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == type_)
}

/// A namespace of one test. At the end of the test it is deleted, without waiting.
pub struct Namespace<'a> {
    /// Its name.
    pub name: String,
    target: &'a Target,
}

impl<'a> Namespace<'a> {
    /// Makes a namespace with a name that no other run has.
    pub fn new(target: &'a Target, what: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let name = format!(
            "e2e-{what}-{seconds:x}-{:x}{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        target.kubectl(&["create", "namespace", &name])?;
        Ok(Self { name, target })
    }

    /// Applies YAML, which must be accepted.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.target.apply(&self.name, yaml)?.ok().with_context(|| yaml.to_owned()).map(drop)
    }

    /// Writes a file for this test and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<String> {
        let path = env::temp_dir().join(&self.name);
        fs::create_dir_all(&path)?;
        let path = path.join(name);
        fs::write(&path, content)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // After a failed test the objects are kept, so that a person can look at them.
        if !std::thread::panicking() {
            let _ = self.target.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
        }
        let _ = fs::remove_dir_all(env::temp_dir().join(&self.name));
    }
}

/// Returns the folder of the binaries that images, tests and demo share.
#[must_use]
pub fn release_dir() -> PathBuf {
    workspace().join("target/release")
}

/// Returns the root of the repository.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
