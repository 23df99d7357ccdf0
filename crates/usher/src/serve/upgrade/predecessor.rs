//! The process before this one, as its successor sees it.

use std::collections::HashMap;
use std::env;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::getppid;
use usher_net::Inherited;
use usher_net::handover::Channel;
use usher_net::quic::UdpGroup;

use super::{HELLO, START_LIMIT, VARIABLE};
use crate::serve::inheritance::Inheritance;
use crate::terminal::Failure;

/// What it knew that is taken over: so many messages.
const MAX_KNOWN: usize = 100_000;

/// The process that started this one, to take over from it.
pub(in crate::serve) struct Predecessor {
    channel: Channel,
}

impl Predecessor {
    /// It, if there is one: the variable names the parent, and standard input is a channel. Whatever else this process
    /// was started by may have inherited the variable only.
    ///
    /// # Errors
    /// It has ended already: nobody expects this process to serve any more.
    pub(in crate::serve) fn find() -> Result<Option<Self>, Failure> {
        let named = env::var(VARIABLE).ok().and_then(|named| named.parse::<i32>().ok());
        let (Some(named), Some(channel)) = (named, Channel::of_stdin()) else { return Ok(None) };
        if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != named) {
            let text = format!("process {named}, which was to be taken over from, is gone");
            return Err(Failure::Message(text));
        }
        Ok(Some(Self { channel }))
    }

    /// Takes what it hands over.
    pub(in crate::serve) fn inheritance(&self) -> Result<Inheritance, Failure> {
        let failed = |error| Failure::of("cannot take over the sockets of the running process", error);
        self.receive().map_err(failed)
    }

    fn receive(&self) -> io::Result<Inheritance> {
        self.channel.limit(Some(START_LIMIT))?;
        let (hello, _) = self.channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if hello != HELLO {
            let what =
                format!("it says `{hello}`, not `{HELLO}`: it is of another version, so restart usher");
            return Err(io::Error::other(what));
        }
        let (mut streams, mut banks) = (Vec::new(), Banks::default());
        let (mut udp, mut known) = (Vec::new(), Vec::new());
        loop {
            let (text, descriptors) = self.channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let (kind, rest) = text.split_once(' ').unwrap_or((&text, ""));
            let (note, label) = rest.split_once(' ').unwrap_or((rest, ""));
            match kind {
                "end" => return Ok(Inheritance::of_predecessor(streams, banks.groups(), (udp, known))),
                "listener" => {
                    for descriptor in descriptors {
                        streams.push(Inherited::new(descriptor, label, note == "own")?);
                    }
                }
                "udp" => {
                    for descriptor in descriptors {
                        udp.push(Inherited::new(descriptor, label, false)?);
                    }
                }
                "datagrams" => banks.add(label, note, descriptors),
                "hand" if known.len() < MAX_KNOWN => known.extend(serde_json::from_str(rest)),
                // A later version's, which this one has no use for.
                _ => {}
            }
        }
    }

    /// Tells that this process serves, on these sockets, and waits until the other has heard it.
    pub(in crate::serve) fn ready(&self, taken: &[String]) -> Result<(), Failure> {
        let told = taken.iter().try_for_each(|label| self.channel.send(&format!("took {label}"), &[]));
        let told = told.and_then(|()| self.channel.send("ready", &[]));
        // Now the other decides, or its end: whoever gave up meanwhile could be the second one to do so.
        let told = told.and_then(|()| self.channel.limit(None));
        let heard = told.and_then(|()| self.channel.receive());
        match heard {
            Ok(Some((text, _))) if text == "go" => Ok(()),
            Ok(_) => Err(Failure::Message("the process that was to be taken over from is gone".to_owned())),
            Err(error) => {
                Err(Failure::of("the process that was to be taken over from does not answer", error))
            }
        }
    }

    /// Tells that this process cannot serve.
    pub(in crate::serve) fn failed(&self, failure: &Failure) {
        let _ = self.channel.send(&format!("failed {}", failure.text(false)), &[]);
    }

    /// The channel, which ends with the other process.
    pub(in crate::serve) fn into_channel(self) -> Channel {
        self.channel
    }
}

/// Sockets of HTTP/3, as they come: bank by bank of each address, a bank perhaps in several messages.
#[derive(Default)]
struct Banks(HashMap<String, Vec<(String, Vec<OwnedFd>)>>);

impl Banks {
    fn add(&mut self, label: &str, note: &str, descriptors: Vec<OwnedFd>) {
        let banks = self.0.entry(label.to_owned()).or_default();
        match banks.last_mut() {
            // `note` begins with the bank's number: it is the same bank.
            Some((last, all)) if last == note => all.extend(descriptors),
            _ => banks.push((note.to_owned(), descriptors)),
        }
    }

    fn groups(self) -> Vec<UdpGroup> {
        let group = |banks: Vec<(String, Vec<OwnedFd>)>| {
            let banks = banks.into_iter().map(|(note, all)| (note.ends_with("busy"), all)).collect();
            UdpGroup::inherited(banks).ok()
        };
        self.0.into_values().filter_map(group).collect()
    }
}
