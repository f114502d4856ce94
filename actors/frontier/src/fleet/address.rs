//! Where the shared store is: the grammar of `--store`.
//!
//! Owns the URL's forms and the secret in it; it opens no connection. Invariant: no password leaves by `Debug`,
//! `Display` or an error. Start at [`Address::parse`].
//!
//! | form | a store of |
//! |---|---|
//! | `redis://[user:pass@]host[:port][/db]` | one server |
//! | `redis+cluster://[user:pass@]h1[:p1],h2[:p2]` | Redis Cluster |
//! | `redis+sentinel://[user:pass@]h1[:p1],h2[:p2]/MASTER[/db]` | a master that sentinels name |
//!
//! With `rediss` for TLS. Characters that a URL reserves are written `%XX` in user and password.

use std::fmt;

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
};

/// The port of a server, where none is given (redis.conf, `port`).
const SERVER_PORT: u16 = 6379;
/// The port of a sentinel, where none is given (sentinel.conf, `port`).
const SENTINEL_PORT: u16 = 26379;
/// Servers in one address at most.
const SERVERS_MAX: usize = 64;

/// The address of a shared store.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// How its servers stand to each other.
    pub topology: Topology,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The number of the database; 0 in a cluster.
    pub db: i64,
    username: Option<String>,
    password: Option<String>,
}

/// How the servers of a store stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    Single(Server),
    /// Any of a Redis Cluster's servers; the others are learned from them.
    Cluster(Vec<Server>),
    /// Sentinels, and the name by which they know the master.
    Sentinel {
        sentinels: Vec<Server>,
        master: String,
    },
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

/// Why a text is no store's address. The text itself is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the store's address has no scheme; write redis://host:6379")]
    NoScheme,
    #[error(
        "{0}: is no scheme of a store; there are redis, redis+cluster, redis+sentinel, each also with rediss (TLS)"
    )]
    Scheme(String),
    #[error("the store's address names no host")]
    NoHost,
    #[error("{0:?} in the store's address is no host with a port")]
    Host(String),
    #[error("only redis+cluster:// and redis+sentinel:// take more than one server")]
    OneServer,
    #[error("the store's address names more than {SERVERS_MAX} servers")]
    ManyServers,
    #[error("{0:?} is no number of a database")]
    Database(String),
    #[error("a Redis Cluster has the database 0 only")]
    ClusterDatabase,
    #[error("redis+sentinel:// needs the master's name: redis+sentinel://host:26379/NAME")]
    NoMaster,
    #[error("the user or the password in the store's address is not percent-encoded UTF-8")]
    Credentials,
    #[error("the store's address has a part behind {0:?} that means nothing")]
    Tail(char),
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without its password.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text
            .trim()
            .split_once("://")
            .ok_or(AddressError::NoScheme)?;
        let (tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", kind) => (false, kind),
            ("rediss", kind) => (true, kind),
            _ => return Err(AddressError::Scheme(scheme.to_owned())),
        };
        // A password may hold what ends the other parts; the last @ before the path ends it.
        let (before_path, path) = match rest.rfind('@') {
            Some(at) => match rest[at..].find('/') {
                Some(slash) => (&rest[..at + slash], &rest[at + slash + 1..]),
                None => (rest, ""),
            },
            None => rest.split_once('/').unwrap_or((rest, "")),
        };
        if let Some(tail) = path.chars().find(|c| matches!(c, '?' | '#')) {
            return Err(AddressError::Tail(tail));
        }
        let (credentials, hosts) = match before_path.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, before_path),
        };
        let (username, password) = match credentials.map(|both| both.split_once(':')) {
            None => (None, None),
            Some(Some((user, password))) => (some_decoded(user)?, some_decoded(password)?),
            // As redis-cli reads it: one word alone is the user.
            Some(None) => (some_decoded(credentials.unwrap_or_default())?, None),
        };
        let mut parts = path.splitn(2, '/');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let (topology, db) = match kind {
            "" => {
                let mut all = servers(hosts, SERVER_PORT)?;
                let server = all.pop().ok_or(AddressError::NoHost)?;
                if !all.is_empty() {
                    return Err(AddressError::OneServer);
                }
                if second.is_some_and(|more| !more.is_empty()) {
                    return Err(AddressError::Tail('/'));
                }
                (Topology::Single(server), database(first)?)
            }
            "cluster" => {
                if !matches!(path, "" | "0") {
                    return Err(AddressError::ClusterDatabase);
                }
                (Topology::Cluster(servers(hosts, SERVER_PORT)?), 0)
            }
            "sentinel" => {
                if first.is_empty() {
                    return Err(AddressError::NoMaster);
                }
                let sentinels = servers(hosts, SENTINEL_PORT)?;
                let master = first.to_owned();
                let topology = Topology::Sentinel { sentinels, master };
                (topology, database(second.unwrap_or_default())?)
            }
            _ => return Err(AddressError::Scheme(scheme.to_owned())),
        };
        Ok(Self {
            topology,
            tls,
            db,
            username,
            password,
        })
    }

    /// The same address with this password, if it has none of its own (a secret's file).
    #[must_use]
    pub fn or_password(mut self, password: &str) -> Self {
        if self.password.is_none() {
            self.password = Some(password.to_owned());
        }
        self
    }

    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// For the client library alone.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The servers that the address names.
    pub fn servers(&self) -> &[Server] {
        match &self.topology {
            Topology::Single(server) => std::slice::from_ref(server),
            Topology::Cluster(servers) => servers,
            Topology::Sentinel { sentinels, .. } => sentinels,
        }
    }

    /// How the client library reaches one server of this store.
    pub fn info(&self, server: &Server) -> ConnectionInfo {
        let (host, port) = (server.host.clone(), server.port);
        let at = if self.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        // The newer protocol tells when a connection breaks.
        let mut login = RedisConnectionInfo::default()
            .set_db(self.db)
            .set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let info = at.into_connection_info();
        info.expect("an address of parts is taken as it is")
            .set_redis_settings(login)
    }
}

fn servers(text: &str, port: u16) -> Result<Vec<Server>, AddressError> {
    let mut servers = Vec::new();
    for one in text.split(',') {
        if servers.len() == SERVERS_MAX {
            return Err(AddressError::ManyServers);
        }
        servers.push(server(one, port)?);
    }
    Ok(servers)
}

fn server(text: &str, port: u16) -> Result<Server, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoHost);
    }
    let bad = || AddressError::Host(text.to_owned());
    let (host, digits) = match text.strip_prefix('[') {
        Some(literal) => {
            let (host, rest) = literal.split_once(']').ok_or_else(bad)?;
            let _address: std::net::Ipv6Addr = host.parse().map_err(|_| bad())?;
            let digits = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or_else(bad)?),
            };
            (host, digits)
        }
        None => match text.split_once(':') {
            Some((host, digits)) => (host, Some(digits)),
            None => (text, None),
        },
    };
    let port = match digits {
        Some(digits) => digits.parse().map_err(|_| bad())?,
        None => port,
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(bad());
    }
    Ok(Server {
        host: host.to_owned(),
        port,
    })
}

fn database(text: &str) -> Result<i64, AddressError> {
    let number = match text {
        "" => Ok(0),
        _ => text.parse::<u16>().map(i64::from),
    };
    number.map_err(|_| AddressError::Database(text.to_owned()))
}

/// Percent-decoded; none where it is empty.
fn some_decoded(text: &str) -> Result<Option<String>, AddressError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.ok_or(AddressError::Credentials)?);
        rest = &after[2..];
    }
    let text = String::from_utf8(bytes).map_err(|_| AddressError::Credentials)?;
    Ok(Some(text))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The address without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.topology {
            Topology::Single(_) => "",
            Topology::Cluster(_) => "+cluster",
            Topology::Sentinel { .. } => "+sentinel",
        };
        write!(f, "redis{}{kind}://", if self.tls { "s" } else { "" })?;
        if self.username.is_some() || self.password.is_some() {
            f.write_str(self.username.as_deref().unwrap_or_default())?;
            f.write_str(if self.password.is_some() {
                ":***@"
            } else {
                "@"
            })?;
        }
        for (n, server) in self.servers().iter().enumerate() {
            write!(f, "{}{server}", if n == 0 { "" } else { "," })?;
        }
        if let Topology::Sentinel { master, .. } = &self.topology {
            write!(f, "/{master}")?;
        }
        if self.db != 0 {
            write!(f, "/{}", self.db)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_without_its_password() {
        #[track_caller]
        fn check(text: &str, shown: &str) {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert!(!format!("{address:?}").contains("geheim"), "{address:?}");
        }
        check("redis://localhost", "redis://localhost:6379");
        check("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3");
        check("redis://[::1]:7000", "redis://[::1]:7000");
        check("redis://[::1]", "redis://[::1]:6379");
        check("rediss://u:geheim@r.test/", "rediss://u:***@r.test:6379");
        check("redis://:geheim@r.test", "redis://:***@r.test:6379");
        check("redis://u@r.test", "redis://u@r.test:6379");
        check(
            "redis+cluster://u:geheim@a:1,b:2",
            "redis+cluster://u:***@a:1,b:2",
        );
        check(
            "rediss+sentinel://a,b:2/main/1",
            "rediss+sentinel://a:26379,b:2/main/1",
        );
    }

    #[test]
    fn a_password_may_hold_anything() {
        #[track_caller]
        fn check(text: &str, password: &str) {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.password(), Some(password), "{text}");
            assert_eq!(address.servers()[0].host, "r.test");
        }
        check("redis://:a%40b%2F%C3%A4@r.test", "a@b/\u{e4}");
        check("redis://:a/b@r.test/1", "a/b");
        check("redis://u:a:b@r.test", "a:b");
        let by_file = Address::parse("redis://u@r.test").unwrap();
        assert_eq!(by_file.or_password("geheim").password(), Some("geheim"));
        let own = Address::parse("redis://u:own@r.test").unwrap();
        assert_eq!(own.or_password("other").password(), Some("own"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        #[track_caller]
        fn check(text: &str, want: &AddressError) {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(&error, want, "{text}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
        use AddressError as E;
        check("localhost:6379", &E::NoScheme);
        check("http://:geheim@a", &E::Scheme("http".into()));
        check("redis+ring://a", &E::Scheme("redis+ring".into()));
        check("redis://", &E::NoHost);
        check("redis://:geheim@", &E::NoHost);
        check("redis://a:port", &E::Host("a:port".into()));
        check("redis://a:70000", &E::Host("a:70000".into()));
        check("redis://[::1", &E::Host("[::1".into()));
        check("redis://[zz]", &E::Host("[zz]".into()));
        check("redis://a b", &E::Host("a b".into()));
        check("redis://a,b", &E::OneServer);
        check("redis://a/x", &E::Database("x".into()));
        check("redis://a/1/2", &E::Tail('/'));
        check("redis://a/0?protocol=resp3", &E::Tail('?'));
        check("redis+cluster://a,b/1", &E::ClusterDatabase);
        check("redis+cluster://a,,b", &E::NoHost);
        check("redis+sentinel://a,b", &E::NoMaster);
        check("redis://:geheim%4@a", &E::Credentials);
        let many = format!("redis+cluster://{}", vec!["a"; 65].join(","));
        check(&many, &E::ManyServers);
    }
}
