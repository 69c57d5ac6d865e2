//! Addresses in every spelling, and what is let through of them.

use super::*;
use proptest::prelude::*;

fn public() -> Reach {
    Reach::Public { besides: Networks::default() }
}

fn besides(network: &str) -> Reach {
    Reach::Public { besides: std::iter::once(network.parse().unwrap()).collect() }
}

fn allows(reach: &Reach, ip: &str) -> bool {
    reach.allows(ip.parse().unwrap())
}

#[test]
fn the_first_and_the_last_address_of_every_range_is_refused_and_its_neighbours_are_not() {
    for (first, last) in [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("168.63.129.16", "168.63.129.16"),
        ("224.0.0.0", "255.255.255.255"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] {
        let reach = public();
        assert!(!allows(&reach, first) && !allows(&reach, last), "{first} to {last}");
        for neighbour in [neighbour(first, -1), neighbour(last, 1)].into_iter().flatten() {
            assert!(reach.allows(neighbour), "{neighbour} beside {first} to {last}");
        }
    }
}

/// The address before or after, if it is not at an end of its family.
fn neighbour(ip: &str, step: i32) -> Option<IpAddr> {
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => {
            let next = ip.to_bits().checked_add_signed(step)?;
            Some(Ipv4Addr::from_bits(next).into())
        }
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits().checked_add_signed(step.into())?).into()),
    }
}

#[test]
fn what_is_no_global_unicast_of_ipv6_is_refused() {
    for ip in [
        "::",
        "::1",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "2001:0:1::",
    ] {
        assert!(!allows(&public(), ip), "{ip}");
    }
    for ip in ["2606:4700::1111", "2a00:1450:4001::1", "::ffff:1.1.1.1", "2400:cb00::1"] {
        assert!(allows(&public(), ip), "{ip}");
    }
}

#[test]
fn networks_that_are_allowed_are_reached_and_no_others() {
    let reach = besides("10.1.0.0/16");
    assert!(allows(&reach, "10.1.2.3") && allows(&reach, "::ffff:10.1.2.3") && allows(&reach, "1.1.1.1"));
    assert!(!allows(&reach, "10.2.0.1") && !allows(&reach, "127.0.0.1") && !allows(&reach, "::1"));
    let reach = besides("fd00::/8");
    assert!(allows(&reach, "fd12::1") && !allows(&reach, "fc12::1"));
    assert!(allows(&Reach::Anywhere, "127.0.0.1"));
}

#[test]
fn of_a_name_with_both_only_what_is_allowed_is_dialled() {
    let ips = |texts: &[&str]| texts.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
    let filter = |texts| public().filter(ips(texts).into_iter(), |ip| *ip);
    assert_eq!(filter(&["127.0.0.1", "1.1.1.1"]), Ok(ips(&["1.1.1.1"])));
    assert_eq!(filter(&["127.0.0.1", "::1"]), Err(OutOfReach));
    assert_eq!(filter(&[]), Ok(vec![]));
}

/// How an IPv4 address can be written in a URL: parts, their bases, a dot at the end, odd digits, or within IPv6.
fn spelling(ip: Ipv4Addr, style: u8, bases: [u8; 4], dot: bool) -> String {
    let [a, b, c, d] = ip.octets().map(u32::from);
    let parts: Vec<u32> = match style {
        0 => vec![ip.to_bits()],
        1 => vec![a, b << 16 | c << 8 | d],
        2 => vec![a, b, c << 8 | d],
        3 => return format!("[::ffff:{ip}]"),
        4 => return format!("[::ffff:{:x}:{:x}]", a << 8 | b, c << 8 | d),
        // The digits of another script, and percent-encoded ones.
        5 => return wide(&ip.to_string()),
        6 => return ip.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect(),
        _ => vec![a, b, c, d],
    };
    let written = parts.iter().zip(bases).map(|(part, base)| match base {
        0 => format!("0x{part:x}"),
        1 => format!("0X{part:X}"),
        2 => format!("0{part:o}"),
        3 => format!("0x0000{part:x}"),
        _ => part.to_string(),
    });
    written.collect::<Vec<_>>().join(".") + if dot { "." } else { "" }
}

fn wide(text: &str) -> String {
    let wide = |c: char| match c.to_digit(10) {
        Some(digit) => char::from_u32(0xff10 + digit).unwrap(),
        None => '\u{3002}',
    };
    text.chars().map(wide).collect()
}

proptest! {
    #[test]
    fn no_spelling_of_an_address_is_judged_otherwise(
        range in 0..NOT_PUBLIC_V4.len() + 1, bits: u32, style in 0..8_u8, bases: [u8; 4], dot: bool, https: bool,
    ) {
        // Half of the bases are written in plain decimal otherwise.
        let bases = bases.map(|base| base % 6);
        let ip = match NOT_PUBLIC_V4.get(range) {
            Some((network, prefix)) => {
                let host = u32::MAX.checked_shr(*prefix).unwrap_or(0);
                Ipv4Addr::from_bits(network.to_bits() | bits & host)
            }
            None => Ipv4Addr::from_bits(bits),
        };
        let host = spelling(ip, style, bases, dot);
        let url = Url::parse(&format!("{}://{host}:8443/x?y#z", if https { "https" } else { "http" })).unwrap();
        let expect = public().allows(ip.into());
        prop_assert_eq!(public().check(&url).is_ok(), expect, "{} is {}", host, ip);
        prop_assert!(Reach::Anywhere.check(&url).is_ok());
    }

    #[test]
    fn what_the_url_calls_a_name_is_no_address_to_the_resolver(host in "[0-9a-fxX.]{1,20}") {
        if let Ok(url) = Url::parse(&format!("http://{host}/")) {
            let host = url.host_str().unwrap();
            let literal = host.parse::<IpAddr>().ok();
            // `inet_aton` reads more than the standard library does; what it reads must be read by the URL too.
            let by_the_system = host.strip_suffix('.').unwrap_or(host).split('.').next_back().is_some_and(is_number);
            prop_assert!(literal.is_some() || !by_the_system, "{host}");
        }
    }
}

fn is_number(part: &str) -> bool {
    let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()),
    }
}
