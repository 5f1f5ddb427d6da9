//! An OCI image as bytes: one layer, one manifest. The same files always give the same bytes.
//!
//! Format: <https://github.com/opencontainers/image-spec> (image layout, image index, manifest, configuration).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::fetch::sha256;

/// A file of the image. All files belong to root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub bytes: Vec<u8>,
}

/// One image, with its blobs.
#[derive(Clone, Debug)]
pub struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    /// Makes an image. `files` has paths without a leading slash; `user` is `uid:gid`; `entrypoint` runs if a pod
    /// names no program.
    pub fn new(files: &BTreeMap<String, File>, user: &str, entrypoint: Option<&str>) -> Result<Self> {
        let layer = layer(files)?;
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": entrypoint.map(|program| [program]),
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "User": user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        Ok(Self { layer, config, manifest })
    }

    /// Returns twelve hex digits that identify the complete content.
    pub fn short_id(&self) -> String {
        sha256(&self.config)[..12].to_owned()
    }

    /// Returns `sha256:…` as containerd lists it.
    pub fn manifest_digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Returns the image layout as one tar, which `ctr images import` reads. The image gets the name `reference`.
    pub fn archive(&self, reference: &str) -> Result<Vec<u8>> {
        let mut descriptor = descriptor("application/vnd.oci.image.manifest.v1+json", &self.manifest);
        descriptor["platform"] = json!({"architecture": architecture(), "os": "linux"});
        descriptor["annotations"] = json!({"io.containerd.image.name": reference});
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [descriptor],
        });
        let mut tar = Builder::new(Vec::new());
        append(&mut tar, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        append(&mut tar, "index.json", 0o644, index.to_string().as_bytes())?;
        for blob in [&self.layer, &self.config, &self.manifest] {
            append(&mut tar, &format!("blobs/sha256/{}", sha256(blob)), 0o644, blob)?;
        }
        tar.into_inner().context("failed to end a tar")
    }
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// Writes the sorted files, each after its folders, and a /tmp that every user may write to.
fn layer(files: &BTreeMap<String, File>) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    for (path, file) in files {
        for (end, _) in path.match_indices('/') {
            if folders.insert(&path[..end]) {
                append_folder(&mut tar, &path[..end], 0o755)?;
            }
        }
        append(&mut tar, path, file.mode, &file.bytes)?;
    }
    append_folder(&mut tar, "tmp", 0o1777)?;
    tar.into_inner().context("failed to end a tar")
}

/// Makes a header without time and owner, so that the bytes do not depend on the day or the machine.
fn header(mode: u32, size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append(tar: &mut Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut header = header(mode, bytes.len() as u64, EntryType::Regular);
    tar.append_data(&mut header, path, bytes).with_context(|| format!("failed to add {path}"))
}

fn append_folder(tar: &mut Builder<Vec<u8>>, path: &str, mode: u32) -> Result<()> {
    let mut header = header(mode, 0, EntryType::Directory);
    tar.append_data(&mut header, path, &[][..]).with_context(|| format!("failed to add {path}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn files(content: &str) -> BTreeMap<String, File> {
        let file = |mode, text: &str| File { mode, bytes: text.into() };
        let files = [("usr/bin/app", file(0o755, content)), ("etc/passwd", file(0o644, "x"))];
        files.map(|(p, f)| (p.to_owned(), f)).into()
    }

    fn image(content: &str) -> Result<Image> {
        Image::new(&files(content), "65532:65532", None)
    }

    fn entries(tar: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let read = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), bytes)
        });
        read.collect()
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_one_changed_byte_another_id() {
        assert_eq!(
            image("a").unwrap().archive("localhost/x:1").unwrap(),
            image("a").unwrap().archive("localhost/x:1").unwrap()
        );
        assert_ne!(image("a").unwrap().short_id(), image("b").unwrap().short_id());
        assert_eq!(image("a").unwrap().short_id().len(), 12);
    }

    #[test]
    fn every_blob_is_named_by_its_hash_and_reachable_from_the_index() {
        let entries = entries(&image("a").unwrap().archive("localhost/x:1").unwrap());
        let blob = |digest: &Value| {
            let name = format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
            let (_, _, bytes) = entries.iter().find(|(n, ..)| *n == name).unwrap();
            assert_eq!(digest.as_str().unwrap(), format!("sha256:{}", sha256(bytes)));
            bytes.clone()
        };
        let index: Value = serde_json::from_slice(&entries[1].2).unwrap();
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "localhost/x:1");
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0]["digest"])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"]["digest"])).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        blob(&manifest["layers"][0]["digest"]);
    }

    #[test]
    fn a_layer_has_each_folder_once_before_its_files_and_a_tmp_for_everyone() {
        let names: Vec<_> = entries(&layer(&files("a")).unwrap())
            .into_iter()
            .map(|(name, mode, _)| format!("{} {mode:o}", name.trim_end_matches('/')))
            .collect();
        assert_eq!(
            names,
            ["etc 755", "etc/passwd 644", "usr 755", "usr/bin 755", "usr/bin/app 755", "tmp 1777"]
        );
    }
}
