//! What is said to a server of llama.cpp's RPC (`ggml-rpc.cpp` of the version that is pinned): a request is its command in
//! one byte, the length of what follows in eight, and that; an answer, which not every command has, is a length and that
//! many bytes.

use super::super::protocol::Server;

/// Major and minor number of what both sides have to speak.
const VERSION: [u8; 2] = [7, 0];
/// Bytes of what a side can do beside TCP, in a greeting.
pub const ABILITIES: usize = 24;
/// The command of a greeting.
pub const HELLO: u8 = 14;
const GET_TENSOR: u8 = 8;
/// What memory is aligned to that is not there.
const ALIGNMENT: u64 = 128;

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// As many as the request's last eight bytes say.
    AsAsked,
}

/// What a server answers to a command; `None` for one that is not known.
pub fn reply(command: u8) -> Option<Reply> {
    Some(match command {
        // Memory is asked for: where it is, and how much.
        0 => Reply::Bytes(16),
        // The alignment of memory, the most of it, where it begins, and what a tensor takes.
        1..=3 | 13 => Reply::Bytes(8),
        // Memory is freed, filled and written.
        4..=6 | 12 | 17 => Reply::Nothing,
        // Whether it is there already, and whether it was copied.
        7 | 9 => Reply::Bytes(1),
        GET_TENSOR => Reply::AsAsked,
        // A graph is computed.
        10 | 16 => Reply::Nothing,
        // What memory is free.
        11 => Reply::Bytes(16),
        HELLO => Reply::Bytes(4 + ABILITIES as u64),
        // How many devices there are.
        15 => Reply::Bytes(4),
        _ => return None,
    })
}

/// What stands for the answer of a server that is gone, with which llama.cpp goes on until it is told: no memory, one
/// device, and tensors of zeros (`length` bytes).
pub fn made_up(command: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let told: &[u8] = match command {
        1 => &ALIGNMENT.to_le_bytes(),
        2 => &u64::MAX.to_le_bytes(),
        // An address that is not null, for memory that is never touched.
        3 => &(1u64 << 20).to_le_bytes(),
        HELLO => &VERSION,
        15 => &1u32.to_le_bytes(),
        _ => &[],
    };
    let length = told.len().min(length);
    bytes[..length].copy_from_slice(&told[..length]);
    bytes
}

/// A request of this command.
pub fn request(command: u8, body: &[u8]) -> Vec<u8> {
    [&[command], &(body.len() as u64).to_le_bytes()[..], body].concat()
}

/// # Errors
/// A sentence, if the server speaks another version than llama.cpp here.
pub fn check_greeting(server: &Server, greeting: &[u8]) -> Result<(), String> {
    match *greeting {
        [major, minor, ..] if major == VERSION[0] && minor <= VERSION[1] => Ok(()),
        [major, minor, ..] => Err(format!(
            "the RPC server at {server} speaks version {major}.{minor}, and tuichat {}.{}; start one of the llama.cpp that \
             `tuichat --version` names",
            VERSION[0], VERSION[1]
        )),
        _ => Err(format!("what answers at {server} is no RPC server of llama.cpp; start one there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_an_answer_is_as_long_as_the_answer() {
        for command in 0..=u8::MAX {
            match reply(command) {
                Some(Reply::Bytes(length)) => assert_eq!(made_up(command, length as usize).len() as u64, length),
                Some(Reply::AsAsked) => assert_eq!(made_up(command, 300), vec![0; 300]),
                Some(Reply::Nothing) => {}
                None => assert!(command > 17, "{command}"),
            }
        }
    }

    #[test]
    fn another_version_is_told() {
        let server = Server { host: "board".into(), port: 50052 };
        assert_eq!(check_greeting(&server, &made_up(HELLO, 28)), Ok(()));
        let old = check_greeting(&server, &[6, 1, 0, 0]).unwrap_err();
        assert!(old.contains("board:50052 speaks version 6.1"), "{old}");
        assert!(check_greeting(&server, &[]).unwrap_err().contains("no RPC server"));
    }
}
