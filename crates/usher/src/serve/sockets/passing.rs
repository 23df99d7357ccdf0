//! Sockets that go on in another process, and those that end with this one.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use usher_net::quic::UdpGroup;
use usher_net::{Address, Kept};

use super::{Held, Sockets, label};
use crate::log;
use crate::serve::upgrade::Message;

impl Sockets {
    /// All that is open, for another process.
    pub(in crate::serve) fn bequeath(&self) -> io::Result<Vec<Message>> {
        let mut all = Vec::new();
        for held in &self.held {
            let label = held.label();
            if let Some(sockets) = &held.datagrams {
                let sockets = sockets.iter().map(|socket| socket.as_fd().try_clone_to_owned());
                all.push((format!("udp - {label}"), sockets.collect::<io::Result<Vec<OwnedFd>>>()?));
                continue;
            }
            let own = if held.owns_file { "own" } else { "foreign" };
            let sockets = held.kept.iter().map(|kept| kept.as_fd().try_clone_to_owned());
            all.push((format!("listener {own} {label}"), sockets.collect::<io::Result<Vec<OwnedFd>>>()?));
            for (number, (is_busy, bank)) in held.udp.iter().flat_map(|udp| udp.banks()).enumerate() {
                let state = if is_busy { "busy" } else { "free" };
                let sockets = bank.iter().map(|socket| socket.as_fd().try_clone_to_owned());
                let sockets = sockets.collect::<io::Result<Vec<OwnedFd>>>()?;
                all.push((format!("datagrams {number}-{state} {label}"), sockets));
            }
        }
        Ok(all)
    }

    /// Another process goes on with those that are `taken`: here they are accepted from no more, and left as they are.
    pub(in crate::serve) fn hand_over(&mut self, taken: &[String]) {
        for held in &mut self.held {
            if taken.contains(&held.label()) {
                held.kept.iter().for_each(Kept::hand_over);
                held.owns_file = false;
            }
        }
    }

    /// The process that handed sockets to this one has stopped: files of Unix sockets are this one's to remove.
    pub(in crate::serve) fn own_files_now(&self) {
        self.held.iter().flat_map(|held| held.kept.iter()).for_each(Kept::own_file);
    }

    /// Keeps no socket open that workers close; those of HTTP/3 only until the process ends.
    pub(in crate::serve) fn let_go(&mut self) {
        for held in &mut self.held {
            held.kept = Arc::default();
            held.datagrams = held.datagrams.take().map(|_| Arc::default());
        }
    }

    /// Files of Unix sockets that end with this process.
    pub(in crate::serve) fn own_files(&self) -> impl Iterator<Item = &Path> {
        self.held.iter().filter(|held| held.owns_file).filter_map(|held| match &held.local {
            Address::Unix(path) => Some(path.as_path()),
            Address::Ip(_) => None,
        })
    }

    /// The process that handed sockets to this one serves on them no more.
    pub(in crate::serve) fn retire(&mut self) {
        let held = self.held.iter_mut().filter_map(|held| held.udp.as_mut());
        for group in held.chain(&mut self.retired).filter_map(Arc::get_mut) {
            group.retire_inherited();
        }
        self.steer();
    }

    /// Tells the kernel whose the packets of HTTP/3 are.
    pub(in crate::serve) fn steer(&self) {
        self.steer_all(|group| group.banks().count() > 1);
    }

    /// The same once more, after another process has told it something else: also where there is only this one.
    pub(in crate::serve) fn steer_again(&self) {
        self.steer_all(|group| group.banks().map(|(_, sockets)| sockets.len()).sum::<usize>() > 1);
    }

    fn steer_all(&self, is_meant: impl Fn(&UdpGroup) -> bool) {
        for held in &self.held {
            let Some(group) = held.udp.as_ref().filter(|group| is_meant(group)) else { continue };
            if let Err(error) = group.steer() {
                log::warn(format_args!(
                    "cannot tell apart the HTTP/3 connections of two processes at {}, some break: {error}",
                    group.address()
                ));
            }
        }
    }
}

impl Held {
    pub(super) fn label(&self) -> String {
        label(&self.listener, &self.bind)
    }
}
