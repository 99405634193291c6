// Package canlog reads and writes log files of CAN traffic: candump, ASC, BLF,
// CSV and TRC.
//
// A [Reader] is an iterator over the [Entry] values of a log, a [Writer] the
// way back:
//
//	r, err := canlog.Open("drive.asc")
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	w, err := canlog.Create("drive.log.gz", nil)
//	if err != nil {
//		return err
//	}
//	for e, err := range r.Entries() {
//		if err != nil {
//			return err
//		}
//		if err := w.Write(e); err != nil {
//			return err
//		}
//	}
//	return w.Close()
//
// # Formats
//
// The end of a file's name tells the format, and ".gz" behind it, of all but
// BLF, that it is compressed. [NewReaderWith], [OpenWith] and [WriterOptions]
// name a format themselves.
//
//	         suffix  FD   errors  channel  direction  times are written to
//	candump  .log    yes  yes     name     yes        1 us, or 1 ns
//	ASC      .asc    yes  bare    number   yes        1 us, or 1 ns
//	BLF      .blf    yes  yes     number   yes        1 ns
//	CSV      .csv    no   yes     none     no         1 us, or 1 ns
//	TRC      .trc    yes  no      number   yes        1 us, or 1 ns
//
// All of them hold standard, extended and remote frames, the latter with their
// length. Where two precisions are told, the second is that of the option
// Nanoseconds; what is finer is cut off, not rounded. What a format cannot hold
// its Writer refuses, with [ErrRefused], the format and the reason. These are
// the exceptions, which are lost without an error: a message's Seq, Tag and
// [hub.Own] flag in all formats, [hub.Extended] of an error frame in candump,
// the direction in CSV, in candump unless the option Direction is set, and of
// error frames in ASC and BLF. A direction that is not known is written as
// received in ASC, BLF and TRC.
//
// Channels have numbers in ASC, BLF and TRC: see the Channels of the options. A
// CSV log has no channel, so its Writer refuses a second one. In ASC, BLF and
// TRC times count from the first entry, cut to the millisecond, so an entry
// that is before that is refused.
//
// # Candump
//
// The format is the text that candump of can-utils writes with -L and -l, and
// that canplayer, log2asc and python-can read: one frame to a line. Observed
// with can-utils 2020.11.0 and git of 2026-05 (v2025.01-81), and python-can.
//
//	(1700000000.123456) vcan0 123#AABBCC
//	(1700000000.123456)  can1 18FEF100##1AABB R
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
// The writer's lines are those of candump -L, byte for byte, with the names of
// channels aligned to the right in the same way. The one difference is the
// flags digit of CAN FD frames: it is 0 to 3 as in old candump, which every
// reader understands, not 4 to 7 as in new candump. Options add what candump
// writes with -N (nanoseconds) and -x (direction). Times are cut to the
// microsecond like candump's, not rounded.
//
// # ASC
//
// The text log of Vector's tools, as python-can 4.6.1 and newer and log2asc of
// both can-utils write it. Read are identifiers and data in base 16 or 10,
// absolute and relative times, the date of the header and that of the trigger
// block, which counts if there is one, in [ReaderOptions].Location, classic,
// remote and error frames and those of CAN FD, with or without a name. Of an
// ErrorFrame line only that there was one is read: the frame is 20000080 with
// eight zeros, as asc2log has it, and only this error frame can be written.
// Other events are counted: see [Reader.Skipped]. A CANFD line whose flags lack
// the bit of CAN FD (0x1000, the same as in BLF) is a classic frame, though the
// programs above write no such line.
//
// Less than three digits behind the seconds of a date are milliseconds too:
// python-can 4 leaves out their zeros. Without a date times count from 1970.
// The Writer's form is that of python-can, but the first line has the date of
// the first entry.
//
// # BLF
//
// The binary log of Vector's tools, as python-can 4.6.1 and newer write it.
// Read are containers, plain or compressed with zlib, and in them the objects
// CAN_MESSAGE, CAN_MESSAGE2, CAN_FD_MESSAGE, CAN_FD_MESSAGE_64 and
// CAN_ERROR_EXT, with times in units of 1 ns or 10 us; others are counted: see
// [Reader.Skipped]. Data that a CAN FD object does not have up to its length
// are zeros. The Writer compresses; an entry is in the file when its container
// of 128 kB is full or after [Writer.Flush], which costs compression if it is
// called often. The header of the file tells its size only if [Create] made
// the Writer.
//
// # CSV
//
// The table of python-can 4.6.1: timestamp, arbitration_id, extended, remote,
// error, dlc, data. Times are rounded to nanoseconds when they are read, for
// that is what floats of seconds need. A frame of more than 8 bytes is an
// error: the log does not say that it is one of CAN FD.
//
// # TRC
//
// The text log of PEAK's tools, in versions 1.0, 1.1, 1.3, 2.0 and 2.1 as
// python-can 4.6.1 reads them; a log without version is 1.0. Version 2.1 is
// written. Rows that are not of a frame sent or received, such as warnings and
// errors, are counted: see [Reader.Skipped]. The start of the log is a number
// of days, in UTC; how exact it is depends on its decimals (15 are written, to
// which a nanosecond is exact; python-can writes about 1 us). Version 1.0 has
// no start, and times count from 1970, as they do where it is missing.
// python-can 4.6.1 takes the DLC of CAN FD frames for their length.
//
// # Errors
//
// A line that cannot be read gives a [*LineError] with file, line, column and
// reason. It costs that line only: a loop that goes on gets the next one. In a
// BLF log it is an [*ObjectError] with the place of the object, behind which
// the next one is read if it is clear where that begins. An error of the
// underlying reader is neither; it names file and line and ends the iteration.
// What was read before any of them has been handed
// out by then. A line that a read error cut off is not taken for an entry, for
// a frame cut short can look like a whole one. At the regular end of the file
// that cannot be told, and a last line without line end is read as it is.
//
// # Hostile input
//
// The reader survives every input. Its memory does not grow with the input or
// with one of its lines: it has one or two buffers of 64 kB, and keeps at most
// as much of names of channels. A line of more than 4096 bytes is an error and
// is passed over without being kept. The containers of a BLF log are unpacked
// while they are read, and not beyond the size that they tell; no size that is
// told is ever allocated. Errors show text quoted, so control characters and
// broken UTF-8 do not reach a terminal.
package canlog
