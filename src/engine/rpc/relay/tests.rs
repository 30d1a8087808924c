use std::thread::JoinHandle;

use super::*;

const DEVICE_COUNT: u8 = 15;
const GET_TENSOR: u8 = 8;
const SET_TENSOR: u8 = 6;

/// A server that greets with this, answers as many requests as there are answers, and hangs up. Its thread gives what it
/// was asked.
fn server(greeting: [u8; 4], answers: Vec<Option<Vec<u8>>>) -> (Server, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        drop(listener.accept().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let (command, abilities) = read_request(&mut stream);
        assert_eq!((command, abilities), (HELLO, vec![0; ABILITIES]));
        stream.write_all(&answer(&[&greeting[..], &[0; ABILITIES]].concat())).unwrap();
        let mut asked = Vec::new();
        for told in answers {
            asked.push(read_request(&mut stream).0);
            if let Some(told) = told {
                stream.write_all(&answer(&told)).unwrap();
            }
        }
        asked
    });
    (Server { host: "127.0.0.1".into(), port }, thread)
}

fn read_request(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; number(&head[1..]) as usize];
    stream.read_exact(&mut body).unwrap();
    (head[0], body)
}

/// Asks as llama.cpp does.
fn ask(client: &mut TcpStream, command: u8, body: &[u8]) -> Vec<u8> {
    client.write_all(&words::request(command, body)).unwrap();
    let mut length = [0; 8];
    client.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; number(&length) as usize];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

fn relay_of(server: &Server) -> (Arc<Relay>, TcpStream) {
    let relay = Relay::start(server).unwrap();
    let client = TcpStream::connect(relay.endpoint()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (relay, client)
}

/// A tensor of four bytes, as it is asked for.
fn four_bytes() -> Vec<u8> {
    [&[9; 300][..], &4u64.to_le_bytes()].concat()
}

#[test]
fn requests_and_answers_are_passed_on() {
    let two = 2u32.to_le_bytes().to_vec();
    let (server, thread) = server([7, 0, 0, 0], vec![Some(two.clone()), None, Some(vec![1, 2, 3, 4])]);
    let (relay, mut client) = relay_of(&server);
    relay.open().unwrap();
    assert_eq!(ask(&mut client, HELLO, &[1; ABILITIES])[..2], [7, 0], "the relay greets by itself");
    assert_eq!(ask(&mut client, DEVICE_COUNT, &[]), two);
    client.write_all(&words::request(SET_TENSOR, &vec![5; 3 * PIECE + 7])).unwrap();
    assert_eq!(ask(&mut client, GET_TENSOR, &four_bytes()), [1, 2, 3, 4]);
    assert_eq!(relay.lost(), None);
    assert_eq!(thread.join().unwrap(), [DEVICE_COUNT, SET_TENSOR, GET_TENSOR]);
}

#[test]
fn a_server_that_hangs_up_is_told_of_and_its_answers_are_made_up() {
    let (gone, thread) = server([7, 0, 0, 0], vec![Some(1u32.to_le_bytes().to_vec())]);
    let (relay, mut client) = relay_of(&gone);
    relay.open().unwrap();
    ask(&mut client, DEVICE_COUNT, &[]);
    thread.join().unwrap();
    assert_eq!(ask(&mut client, GET_TENSOR, &four_bytes()), [0; 4]);
    let lost = relay.lost().unwrap();
    assert!(lost.contains(&gone.to_string()) && lost.contains("`/model NAME`"), "{lost}");
    client.write_all(&words::request(SET_TENSOR, &[5; 400])).unwrap();
    assert_eq!(ask(&mut client, 1, &[0; 4]).len(), 8, "llama.cpp is answered all the same");
}

#[test]
fn a_server_is_missed_although_nothing_is_asked_of_it() {
    let (gone, thread) = server([7, 0, 0, 0], vec![]);
    let (relay, _client) = relay_of(&gone);
    relay.open().unwrap();
    thread.join().unwrap();
    while relay.lost().is_none() {
        relay.look();
    }
    assert!(relay.open().unwrap_err().contains("there is no RPC server"));
    assert!(relay.lost().is_some());
}

#[test]
fn an_answer_of_another_length_is_none() {
    let (odd, thread) = server([7, 0, 0, 0], vec![Some(vec![1, 2, 3])]);
    let (relay, mut client) = relay_of(&odd);
    relay.open().unwrap();
    assert_eq!(ask(&mut client, GET_TENSOR, &four_bytes()), [0; 4]);
    assert!(relay.lost().unwrap().contains("3 bytes instead of 4"));
    thread.join().unwrap();
}

#[test]
fn other_versions_and_other_programs_are_refused_with_a_sentence() {
    let (old, thread) = server([6, 2, 0, 0], vec![]);
    let error = Relay::start(&old).unwrap().open().unwrap_err();
    assert!(error.contains("speaks version 6.2"), "{error}");
    thread.join().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = Server { host: "localhost".into(), port: listener.local_addr().unwrap().port() };
    let greet = move |()| listener.accept().unwrap().0.write_all(b"220 mail\r\n").unwrap();
    let thread = std::thread::spawn(move || [(), ()].into_iter().for_each(greet));
    let error = Relay::start(&other).unwrap().open().unwrap_err();
    assert!(error.contains("is no RPC server"), "{error}");
    thread.join().unwrap();
}
