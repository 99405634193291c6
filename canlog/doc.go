// Package canlog reads and writes log files of CAN traffic.
//
// The format is the text that candump of can-utils writes with -L and -l, and
// that canplayer, log2asc and python-can read: one frame to a line.
//
//	(1700000000.123456) vcan0 123#AABBCC
//	(1700000000.123456)  can1 18FEF100##1AABB R
//
// A [Reader] is an iterator over the [Entry] values of a log, a [Writer] the
// way back:
//
//	r, err := canlog.Open("drive.log.gz")
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	for e, err := range r.Entries() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(e.Message.Time(), e.Channel, e.Message)
//	}
//
// # What is read
//
// A line has a time in parentheses, the name of a channel, a frame in the form
// of [hub.Parse], and if need be a direction, R for received or T for sent, in
// either case. White space runs of any length part them and may stand around
// them; lines end in "\n" or "\r\n", and the last one need not.
//
//   - The time is in seconds, with up to nine decimals: candump writes six, and
//     nine with -N. It counts from 1970 or, in a log of candump -t z, from the
//     first frame. It must fit [hub.Message]'s Timestamp, so it ends in the
//     year 2262. A tenth decimal would be lost and is refused.
//   - The name of a channel is any word of printable characters, up to 255
//     bytes. Digits alone, which python-can takes for a number, are a name too.
//   - In the flags digit of a CAN FD frame only BRS and ESI count: old candump
//     and python-can write 0 to 3, new candump 4 to 7. The raw DLC behind eight
//     bytes ("_9" to "_F") is accepted and dropped. CAN XL frames are refused.
//   - Blank lines and lines that begin with # are skipped. A DROPCOUNT line, in
//     which candump notes frames that it lost, is counted: see
//     [Reader.Dropped].
//
// Any other line is an error. What can-utils and python-can cut off, guess or
// pass over is refused here: data beyond 8 or 64 bytes, a fourth field that is
// no direction, a time that is negative, not a number or has an exponent.
//
// # Errors
//
// A line that cannot be read gives a [*LineError] with file, line, column and
// reason. It costs that line only: a loop that goes on gets the next one. An
// error of the underlying reader is not a LineError; it names file and line
// and ends the iteration. What was read before either of them has been handed
// out by then. A line that a read error cut off is not taken for an entry, for
// a frame cut short can look like a whole one. At the regular end of the file
// that cannot be told, and a last line without line end is read as it is.
//
// # Hostile input
//
// The reader survives every input. Its memory does not grow with the input or
// with one of its lines: it has a buffer of 64 kB, and keeps at most as much of
// names of channels. A line of more than 4096 bytes is an error and is passed
// over without being kept. Errors show text quoted, so control characters and
// broken UTF-8 do not reach a terminal.
//
// # What is written
//
// The writer's lines are those of candump -L, byte for byte, with the names of
// channels aligned to the right in the same way. The one difference is the
// flags digit of CAN FD frames: it is 0 to 3 as in old candump, which every
// reader understands, not 4 to 7 as in new candump. Options add what candump
// writes with -N (nanoseconds) and -x (direction). Times are cut to the
// microsecond like candump's, not rounded.
//
// An entry that could not be read back is refused: see [ErrRefused]. A log
// does not hold a message's Seq, its [hub.Own] flag and, of an error frame,
// the [hub.Extended] flag. Everything else comes back as it was, given
// nanoseconds and directions.
package canlog
