//! The DNS responder as a resolver of other people's making understands it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use kit::dns::{Dns, Kind, Reply, Zone};
use kit::loopback::address_of;

fn resolver(dns: &Dns) -> Result<TokioResolver, NetError> {
    let mut server = NameServerConfig::udp_and_tcp(dns.address().ip());
    for connection in &mut server.connections {
        connection.port = dns.address().port();
    }
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().attempts = 1;
    builder.build()
}

#[test]
fn a_real_resolver_understands_every_reply() {
    let v4 = IpAddr::from(Ipv4Addr::new(127, 9, 9, 9));
    let many: Vec<IpAddr> = (1..=60)
        .map(|n| Ipv4Addr::new(127, 8, 8, n).into())
        .collect();
    let zone = Zone::own_addresses("zoo.test")
        .name(
            "both.test",
            Reply::Addresses(vec![v4, Ipv6Addr::LOCALHOST.into()]),
        )
        .name("alias.test", Reply::Alias("a.zoo.test".to_owned()))
        .name("big.test", Reply::OverTcp(many.clone()))
        .name("broken.test", Reply::Failure)
        .ttl(30);
    let dns = Dns::start(zone).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let resolver = resolver(&dns).unwrap();
        let addresses = async |name: &str| -> Result<Vec<IpAddr>, String> {
            let found = resolver
                .lookup_ip(name)
                .await
                .map_err(|error| error.to_string())?;
            Ok(found.iter().collect())
        };
        let own = |name| vec![IpAddr::from(address_of(name))];
        assert_eq!(addresses("x.zoo.test.").await.unwrap(), own("x.zoo.test"));
        assert_eq!(addresses("alias.test.").await.unwrap(), own("a.zoo.test"));
        assert!(addresses("both.test.").await.unwrap().contains(&v4));
        assert_eq!(addresses("big.test.").await.unwrap().len(), many.len());
        assert!(addresses("broken.test.").await.is_err());

        // Negative answers name an authority, so they are kept for their time.
        for _ in 0..3 {
            assert!(
                addresses("nowhere.test.")
                    .await
                    .unwrap_err()
                    .contains("no records found")
            );
            assert_eq!(addresses("x.zoo.test.").await.unwrap(), own("x.zoo.test"));
        }
    });
    assert_eq!(dns.counts()[&("nowhere.test".to_owned(), Kind::A)], 1);
    assert_eq!(dns.counts()[&("x.zoo.test".to_owned(), Kind::A)], 1);
}
