//! The processes that listen on ports, from /proc, and ports on which none listens.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
};

use anyhow::Result;

/// A listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its address. An IPv4-mapped IPv6 address is given as IPv4.
    pub address: SocketAddr,
    /// The number of the socket in `/proc/<pid>/fd`.
    pub inode: u64,
}

/// Returns all listening sockets of this machine.
pub fn listeners() -> Vec<Listener> {
    let text = |name| fs::read_to_string(Path::new("/proc/net").join(name)).unwrap_or_default();
    [text("tcp"), text("tcp6")].iter().flat_map(|t| t.lines()).filter_map(parse).collect()
}

/// Returns `pid 12 (command line)` for the process that holds the socket.
pub fn owner(listener: &Listener) -> Option<String> {
    let wanted = format!("socket:[{}]", listener.inode);
    // Without `self` and `thread-self`.
    let is_pid = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    for process in fs::read_dir("/proc").ok()?.flatten().filter(is_pid) {
        let holds =
            |fd: &fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|t| t.as_os_str() == wanted.as_str());
        if fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten().any(|fd| holds(&fd)) {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let command: String = command.trim().chars().take(80).collect();
            return Some(format!("pid {} ({command})", process.file_name().display()));
        }
    }
    None
}

/// Returns free ports of loopback. They are requested at the same time, so that they differ.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let sockets = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let mut ports = [0; N];
    for (port, socket) in ports.iter_mut().zip(&sockets) {
        *port = socket.local_addr()?.port();
    }
    Ok(ports)
}

/// Reads a line of /proc/net/tcp or tcp6 in the state LISTEN (0A). Addresses are hex. Each 32-bit word has the byte
/// order of the machine.
fn parse(line: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    if fields.nth(1)? != "0A" {
        return None;
    }
    let words: Vec<[u8; 4]> = (0..address.len() / 8)
        .map(|i| u32::from_str_radix(&address[i * 8..i * 8 + 8], 16).map(u32::to_ne_bytes))
        .collect::<Result<_, _>>()
        .ok()?;
    let ip = match words[..] {
        [v4] => IpAddr::V4(Ipv4Addr::from(v4)),
        [_, _, _, _] => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener { address: SocketAddr::new(ip, port), inode: fields.nth(5)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn listening_sockets_are_read_and_others_are_not() {
        let line = |address: &str, state: &str| {
            format!(
                "   1: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4242 1 0"
            )
        };
        let parsed = parse(&line("0100007F:2384", "0A")).unwrap();
        assert_eq!((parsed.address.to_string(), parsed.inode), ("127.0.0.1:9092".to_owned(), 4242));
        assert_eq!(parse(&line("0100007F:2384", "01")), None, "a connection");
        let mapped = parse(&line("0000000000000000FFFF00000100007F:2384", "0A")).unwrap();
        assert_eq!(mapped.address.to_string(), "127.0.0.1:9092");
    }

    #[test]
    fn the_owner_of_a_port_is_named_by_pid() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = listeners().into_iter().find(|l| l.address == address).unwrap();
        // For a short time, a child that another test is just starting also holds it.
        let us = format!("pid {} (", std::process::id());
        let named = || Ok(owner(&listener).is_some_and(|text| text.starts_with(&us)));
        crate::wait::until(std::time::Duration::from_secs(5), "our own name", named).unwrap();
    }
}
