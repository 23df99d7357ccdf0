//! A small strict HTTP/1 reader that shares no code with the proxy.

use crate::net::ReadEnd;

/// Why a message could not be read to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream ended before the first byte.
    Closed,
    /// The stream ended within the message.
    Truncated,
    /// The stream was reset.
    Reset,
    /// The bytes are no message.
    Malformed(String),
}

/// A start line and fields, names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(key, _)| key == name).count()
    }

    pub(crate) fn closes(&self) -> bool {
        self.get("connection").is_some_and(|value| value.contains("close"))
    }

    /// How the body is framed: RFC 9112 section 6.3, refusing what has two readings.
    pub(crate) fn framing(&self, is_request: bool) -> Result<Framing, Broken> {
        let refuse = |why: &str| Err(Broken::Malformed(format!("{why}: {self:?}")));
        match (self.count("transfer-encoding"), self.count("content-length")) {
            (0, 0) if is_request => Ok(Framing::Length(0)),
            (0, 0) => Ok(Framing::UntilEnd),
            (0, 1) => match self.number("content-length") {
                Some(len) => Ok(Framing::Length(len as usize)),
                None => refuse("content-length"),
            },
            (1, 0) if self.get("transfer-encoding") == Some("chunked") => Ok(Framing::Chunked),
            _ => refuse("framing"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilEnd,
}

/// Reads messages, one after another.
pub(crate) struct Reader {
    end: ReadEnd,
    held: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(end: ReadEnd) -> Self {
        Self { end, held: Vec::new() }
    }

    async fn more(&mut self) -> Result<bool, Broken> {
        let mut buffer = [0; 16 << 10];
        let len = self.end.read(&mut buffer).await.map_err(|_| Broken::Reset)?;
        self.held.extend_from_slice(&buffer[..len]);
        Ok(len > 0)
    }

    /// Bytes up to and with CRLF, without it.
    async fn line(&mut self) -> Result<String, Broken> {
        let mut from = 0;
        loop {
            if let Some(at) = self.held[from..].windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.held.drain(..from + at + 2).collect();
                let text = String::from_utf8(line).map_err(|_| Broken::Malformed("not text".into()))?;
                return Ok(text.trim_end_matches("\r\n").to_owned());
            }
            from = self.held.len().saturating_sub(1);
            if from > 100_000 {
                return Err(Broken::Malformed("endless line".into()));
            }
            if !self.more().await? {
                return Err(if self.held.is_empty() { Broken::Closed } else { Broken::Truncated });
            }
        }
    }

    async fn fields(&mut self) -> Result<Vec<(String, String)>, Broken> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await.map_err(within)?;
            if line.is_empty() {
                return Ok(fields);
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(Broken::Malformed(format!("field `{line}`")));
            };
            if name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            {
                return Err(Broken::Malformed(format!("field `{line}`")));
            }
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub(crate) async fn head(&mut self) -> Result<Head, Broken> {
        let start = self.line().await?;
        Ok(Head { start, fields: self.fields().await? })
    }

    /// The body and, with chunks, the trailers.
    pub(crate) async fn body(
        &mut self,
        framing: Framing,
    ) -> Result<(Vec<u8>, Vec<(String, String)>), Broken> {
        match framing {
            Framing::Length(len) => Ok((self.exactly(len).await?, Vec::new())),
            Framing::UntilEnd => {
                while self.more().await? {}
                Ok((std::mem::take(&mut self.held), Vec::new()))
            }
            Framing::Chunked => self.chunks().await,
        }
    }

    async fn exactly(&mut self, len: usize) -> Result<Vec<u8>, Broken> {
        while self.held.len() < len {
            if !self.more().await? {
                return Err(Broken::Truncated);
            }
        }
        Ok(self.held.drain(..len).collect())
    }

    async fn chunks(&mut self) -> Result<(Vec<u8>, Vec<(String, String)>), Broken> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await.map_err(within)?;
            let size =
                usize::from_str_radix(&line, 16).map_err(|_| Broken::Malformed(format!("chunk `{line}`")))?;
            if size == 0 {
                return Ok((body, self.fields().await?));
            }
            body.extend(self.exactly(size).await?);
            if !self.line().await.map_err(within)?.is_empty() {
                return Err(Broken::Malformed("bytes behind a chunk".into()));
            }
        }
    }

    /// Reads to the end of the stream and gives what came.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        Ok(self.body(Framing::UntilEnd).await?.0)
    }
}

fn within(broken: Broken) -> Broken {
    if matches!(broken, Broken::Closed) { Broken::Truncated } else { broken }
}
