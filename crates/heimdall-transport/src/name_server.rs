use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use heimdall_token::SystemRng;
use heimdall_types::Rng;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, TYPE};
use tokio::net::UdpSocket;

use crate::address::Resolver;

const PATIENCE: Duration = Duration::from_secs(2);
/// An answer that is longer than a datagram without extensions is cut (RFC 1035 §4.2.1); its first addresses do.
const DATAGRAM: usize = 4_096;

/// One DNS server, asked instead of those that the system is configured with. Nothing is kept: whoever changes his
/// answer after the check is checked again.
#[derive(Debug, Clone, Copy)]
pub struct NameServer(SocketAddr);

impl NameServer {
    /// The server at this address, asked over UDP.
    pub fn at(address: SocketAddr) -> Self {
        Self(address)
    }

    async fn ask(&self, host: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
        let bad = |error: simple_dns::SimpleDnsError| io::Error::other(error.to_string());
        let mut id = [0; 2];
        SystemRng.fill(&mut id);
        let id = u16::from_be_bytes(id);
        let mut query = Packet::new_query(id);
        query.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(host).map_err(bad)?;
        query.questions.push(Question::new(
            name,
            QTYPE::TYPE(kind),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        let own = match self.0 {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(own).await?;
        // Connected: the system drops what comes from anybody else.
        socket.connect(self.0).await?;
        socket.send(&query.build_bytes_vec().map_err(bad)?).await?;
        let mut space = vec![0; DATAGRAM];
        loop {
            let length = socket.recv(&mut space).await?;
            let Ok(answer) = Packet::parse(space.get(..length).unwrap_or_default()) else {
                continue;
            };
            if answer.id() == id && answer.has_flags(PacketFlag::RESPONSE) {
                return Ok(addresses(&answer));
            }
        }
    }
}

fn addresses(answer: &Packet<'_>) -> Vec<IpAddr> {
    let found = answer
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(a) => Some(IpAddr::V4(a.address.into())),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.address.into())),
            _ => None,
        });
    found.collect()
}

#[async_trait]
impl Resolver for NameServer {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let both = async { tokio::try_join!(self.ask(host, TYPE::A), self.ask(host, TYPE::AAAA)) };
        let (four, six) = tokio::time::timeout(PATIENCE, both)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let all = four.into_iter().chain(six);
        Ok(all.map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

#[cfg(test)]
mod tests {
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    use super::*;
    use crate::address::{AddressError, AddressPolicy, resolve_checked};

    /// A DNS server that gives each address once, in turn, to questions about IPv4 addresses.
    async fn server(answers: &'static [[u8; 4]]) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut left = answers.iter();
            let mut space = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut space).await {
                let asked = Packet::parse(&space[..length]).unwrap();
                let question = asked.questions[0].clone();
                let mut answer = Packet::new_reply(asked.id());
                if question.qtype == QTYPE::TYPE(TYPE::A)
                    && let Some(address) = left.next()
                {
                    let data = RData::A(A::from(Ipv4Addr::from(*address)));
                    let record = ResourceRecord::new(question.qname.clone(), CLASS::IN, 0, data);
                    answer.answers.push(record);
                }
                answer.questions.push(question);
                let bytes = answer.build_bytes_vec().unwrap();
                socket.send_to(&bytes, from).await.unwrap();
            }
        });
        NameServer::at(address)
    }

    #[tokio::test]
    async fn a_name_that_rebinds_is_refused_at_the_second_look() {
        let server = server(&[[93, 184, 216, 34], [127, 0, 0, 1]]).await;
        let look = || resolve_checked(&server, "rebind.example", 443, AddressPolicy::PublicOnly);
        let first = look().await.unwrap();
        assert_eq!(first, ["93.184.216.34:443".parse().unwrap()]);
        assert!(matches!(look().await, Err(AddressError::NotPublic(_))));
        assert!(matches!(look().await, Err(AddressError::Unresolved(_))));
    }

    #[tokio::test]
    async fn a_server_that_is_silent_is_not_waited_for_forever() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = NameServer::at(silent.local_addr().unwrap());
        let began = std::time::Instant::now();
        assert!(server.resolve("slow.example", 80).await.is_err());
        assert!(began.elapsed() < PATIENCE * 2);
    }
}
