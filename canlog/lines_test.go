package canlog_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// Every odd line of candump_lines.json, and whether it is a frame. The rule is
// that a line is read if it can mean one thing only, and refused if reading it
// would take a guess or lose something of it; "why" tells where the other
// readers do otherwise.
var oddLines = map[string]struct {
	want    string // the line written back with all there is in it; or ...
	col     int    // ... where it is refused ...
	reason  string // ... and the reason
	why     string
	differs bool // python-can has read another frame than we
}{
	"plain":            {want: "(1600000062.282086000) vcan0 6A1#7C017F0F"},
	"trailing_R":       {want: "(1600000083.974329000) vcan0 6A2#B869580C R"},
	"trailing_T":       {want: "(1600000039.142009000) vcan0 6A3#CA41 T"},
	"trailing_lower_r": {want: "(1600000087.734924000) vcan0 6A4#8235 R", why: "python-can reads either case"},
	"fd_5":             {want: "(1600000061.714188000) vcan0 6A5##13C843A10E2C44627270BC404", why: "bit 2 says FDF once more"},
	"fd_1":             {want: "(1600000077.440021000) vcan0 6A6##170D7017ADB233E773A570FA9"},
	"rtr_r4":           {want: "(1600000033.730512000) vcan0 6A7#R4"},
	"err": {want: "(1600000094.417536000) vcan0 20000040#806E6FF1B59565C9", differs: true,
		why: "an error frame of class 0x40; python-can takes all but bus errors for data frames"},
	"err_buserror": {want: "(1600000096.433947000) vcan0 20000080#2EC0BC39AF135B70", differs: true,
		why: "python-can drops class, data and channel of an error frame"},
	"double_space_ifname": {want: "(1600000024.871020000) can0 6A8#B0E0", why: "candump aligns names so"},
	"tabs":                {want: "(1600000060.662032000) vcan0 6A9#64C6", why: "white space is white space"},
	"leading_space":       {want: "(1600000034.849250000) vcan0 6AA#3A5D", why: "python-can reads it; canplayer passes it over in silence, which loses a frame"},
	"trailing_spaces":     {want: "(1600000081.512759000) vcan0 6AB#9253"},
	"crlf":                {want: "(1600000094.108219000) vcan0 6AC#9433"},
	"blank_line":          {why: "skipped by all"},
	"comment":             {why: "skipped by canplayer"},
	"numeric_channel":     {want: "(1600000090.803455000) 0 6AD#88E1", why: "any word is a name"},
	"channel_any_word":    {want: "(1600000008.701512000) fooA 6AE#940E"},
	"ts_9_digits":         {want: "(1600000051.924842037) vcan0 6AF#881B"},
	"ts_3_digits":         {want: "(1600000000.123000000) vcan0 6A0#7034", why: "a decimal fraction; old canplayer takes it for 123 microseconds, new refuses"},
	"ts_no_fraction":      {want: "(1600000000.000000000) vcan0 6A1#A415", why: "whole seconds; python-can reads them"},
	"ts_short_sec":        {want: "(0000000001.500000000) vcan0 6A2#4053"},
	"ts_zero":             {want: "(0000000000.000000000) vcan0 6A3#D6B1"},
	"ts_padded":           {want: "(0000000001.000001000) vcan0 6A4#3415"},
	"ts_negative":         {col: 2, reason: "negative time", why: "a Timestamp begins in 1970"},
	"ts_nan":              {col: 2, reason: `unexpected "n" in the time`, why: "no time"},
	"ts_exponent":         {col: 3, reason: `unexpected "e" in the time`, why: "nobody writes it; canplayer refuses it"},
	"ts_no_parens":        {col: 1, reason: "time in parentheses", why: "python-can strips the first digit: 1600000051 becomes 600000051"},
	"ts_missing_close":    {col: 19, reason: "no ) behind the time", why: "python-can strips the last digit; the number may have been cut"},
	"ts_date_style":       {col: 6, reason: `unexpected "-" in the time`, why: "refused by all"},
	"ts_huge":             {col: 2, reason: "time out of range", why: "does not fit a Timestamp"},
	"no_channel":          {col: 21, reason: "no channel in front of the frame", why: "refused by all"},
	"screen_format":       {col: 3, reason: "time in parentheses", why: "has no time; canplayer passes it over"},
	"extra_field":         {col: 36, reason: "want R, T or the end", why: "what it means is unknown; python-can refuses it"},
	"extra_two":           {col: 38, reason: "want the end of the line", why: "as before"},
	"only_ts":             {col: 20, reason: "no channel and no frame"},
	"bad_frame":           {col: 31, reason: `unexpected`},
	"no_hash":             {col: 30, reason: "want # behind the identifier"},
	"dropcount":           {why: "no frame, but counted: see TestDroppedAddsUpDropcountLines"},
	"long_channel":        {want: "(1600000005.859113000) cccccccccccccccccccc 6A2#6E80", why: "Linux has 15 bytes, others have not"},
	"dlc_suffix":          {want: "(1600000008.505227000) vcan0 6A3#1A55EA1F8F992955", why: "new candump's raw DLC, of which a Message keeps the length; old canplayer ignores it"},
	"binary_garbage":      {col: 1, reason: "time in parentheses"},
	"lowercase_all":       {want: "(1600000080.579487000) vcan0 6A4#4266D7", why: "read by all"},
	"very_long_line":      {col: 47, reason: "more than 8 data bytes", why: "can-utils cuts them off in silence"},
}

func TestOddLinesAreReadOrRefusedWithColumnAndReason(t *testing.T) {
	var vectors []struct {
		Name    string
		Line    string `json:"wire_text"`
		Channel any
		Frame   *frame
	}
	golden.LoadInto(t, "candump_lines.json", &vectors)
	if len(vectors) != len(oddLines) {
		t.Errorf("%d lines in the file, %d in this test", len(vectors), len(oddLines))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			odd, ok := oddLines[v.Name]
			if !ok {
				t.Fatal("not in this test")
			}
			const before, after = "(0.0) a 000#\n", "(0.0) b 000#\n"
			entries, bad := readLines(t, before+v.Line+"\n"+after)
			if n := len(entries); n < 2 || entries[0].Channel != "a" || entries[n-1].Channel != "b" {
				t.Fatalf("the lines around it are lost: %+v", entries)
			}
			entries = entries[1 : len(entries)-1]
			switch {
			case odd.reason != "":
				if len(entries) != 0 || len(bad) != 1 {
					t.Fatalf("%d entries and %d errors, want an error", len(entries), len(bad))
				}
				if e := bad[0]; e.Line != 2 || e.Col != odd.col || !strings.Contains(e.Reason, odd.reason) {
					t.Errorf("%v\nwant line 2, column %d, %s", e, odd.col, odd.reason)
				}
			case odd.want == "":
				if len(entries) != 0 || len(bad) != 0 {
					t.Errorf("entries %+v, errors %v, want the line skipped", entries, bad)
				}
			default:
				if len(entries) != 1 || len(bad) != 0 {
					t.Fatalf("%d entries, errors %v, want an entry", len(entries), bad)
				}
				e := entries[0]
				if got := strings.TrimSuffix(write(t, everything, e), "\n"); got != odd.want {
					t.Errorf("%q\nread as %s\nwant    %s", v.Line, got, odd.want)
				}
				if v.Frame == nil || odd.differs {
					return
				}
				f := *v.Frame
				f.Timestamp = json.Number("0") // a float64; odd.want has the exact one
				if want := f.message(t); !e.Message.Equal(want) {
					t.Errorf("frame %v, python-can has %v", e.Message, want)
				}
			}
		})
	}
}

// Lines beyond those of the file.
func TestLinesAreRefusedAtTheirColumn(t *testing.T) {
	for _, test := range []struct {
		line   string
		col    int
		reason string
	}{
		{"(", 2, "no ) behind the time"},
		{"()", 2, `unexpected ")" in the time`},
		{"(.5) a 123#", 2, `unexpected "." in the time`},
		{"(5.) a 123#", 4, `unexpected ")" in the time`},
		{"(1.1234567891) a 123#", 13, "more than nine decimals"},
		{"(1.5.5) a 123#", 5, `unexpected "." in the time`},
		{"(+1.5) a 123#", 2, `unexpected "+" in the time`},
		{"(inf) a 123#", 2, `unexpected "i" in the time`},
		{"(0x10) a 123#", 3, `unexpected "x" in the time`},
		{"(1_000.5) a 123#", 3, `unexpected "_" in the time`},
		{"(1,5) a 123#", 3, `unexpected "," in the time`},
		{"(\xff) a 123#", 2, `unexpected "\xff" in the time`},
		{"(٣) a 123#", 2, `unexpected "٣" in the time`},
		{"( 1.0) a 123#", 2, "no ) behind the time"},
		{"(1.0)a 123#", 6, "want white space behind the time"},
		{"(9223372036.854775808) a 123#", 2, "time out of range"},
		{"(99999999999999999999999999.0) a 123#", 2, "time out of range"},
		{"[1.0] a 123#", 1, "time in parentheses"},
		{"\ufeff(1.0) a 123#", 1, "time in parentheses"},
		{"(1.0)", 6, "no channel and no frame"},
		{"(1.0)  ", 8, "no channel and no frame"},
		{"(1.0) a", 8, "no frame behind the channel"},
		{"(1.0) 123#AA R", 14, "3 or 8 hex digits"}, // the first is taken for the channel
		{"(1.0) a\x00b 123#", 8, `"\x00" in the name of the channel`},
		{"(1.0) a\x1b[31m 123#", 8, `"\x1b" in the name of the channel`},
		{"(1.0) ä\xff 123#", 9, `"\xff" in the name of the channel`},
		{"(1.0) a\u202eb 123#", 8, `"\u202e" in the name of the channel`},
		{"(1.0) a\u00a0b 123#", 8, `"\u00a0" in the name of the channel`},
		{"(1.0) " + strings.Repeat("c", 256) + " 123#", 7 + 255, "longer than 255 bytes"},
		{"(1.0) a 123", 12, "want # behind"},
		{"(1.0) a 12345#", 9, "3 or 8 hex digits"},
		{"(1.0) a 800#", 9, "11 bits"},
		{"(1.0) a 123#AAB", 16, "half a data byte"},
		{"(1.0) a 123##", 14, "CAN FD flags"},
		{"(1.0) a 123#R16", 15, "unexpected"},
		{"(1.0)   a   123#A", 18, "half a data byte"},
		{"(1.0) a 123#AA RT", 16, "want R, T or the end"},
		{"(1.0) a 123#AA R T", 18, "want the end of the line"},
		{"DROPCOUNT:", 11, "behind DROPCOUNT:"},
		{"DROPCOUNT: dropped many CAN frames on 'a'", 20, "behind DROPCOUNT:"},
		{"DROPCOUNT: dropped -1 CAN frames on 'a'", 20, "behind DROPCOUNT:"},
		{"DROPCOUNT: dropped 4294967296 CAN frames on 'a'", 20, "behind DROPCOUNT:"},
		{"DROPCOUNT: dropped 1 cup", 22, "behind DROPCOUNT:"},
		{"DROPCOUNT: dropped 1 CAN opener", 26, "behind DROPCOUNT:"},
	} {
		entries, bad := readLines(t, "\n"+test.line)
		if len(entries) != 0 || len(bad) != 1 {
			t.Errorf("%q: entries %+v, errors %v, want an error", test.line, entries, bad)
			continue
		}
		if e := bad[0]; e.File != "test.log" || e.Line != 2 || e.Col != test.col ||
			e.Text != test.line[:min(200, len(test.line))]+strings.Repeat("...", min(1, len(test.line)/201)) ||
			!strings.Contains(e.Reason, test.reason) {
			t.Errorf("%q:\n%v\nwant line 2, column %d, %s", test.line, e, test.col, test.reason)
		}
	}
}

func TestTimesAreReadExactly(t *testing.T) {
	for text, want := range map[string]int64{
		"0":                         0,
		"0.1":                       100_000_000,
		"0.000000001":               1,
		"000.000001":                1_000,
		"1700000000.123456":         1_700_000_000_123_456_000,
		"1700000000.1234567":        1_700_000_000_123_456_700,
		"00000000000000000000001.5": 1_500_000_000,
		"9223372036.854775807":      1<<63 - 1,
		"9007199254.740993":         9_007_199_254_740_993_000, // not a float64
	} {
		entries := read(t, "("+text+") a 123#")
		if len(entries) != 1 || entries[0].Message.Timestamp != want {
			t.Errorf("(%s): %+v, want %d ns", text, entries, want)
		}
	}
}

func TestWhiteSpaceIsThatOfC(t *testing.T) {
	want := entry(1e9, "can0", hub.Std(0x123, 0xAA))
	want.Dir = canlog.DirReceived
	for _, line := range []string{
		"(1.0) can0 123#AA R",
		"\t (1.0)\v\f can0\t\t123#AA \rR\r\r",
	} {
		if got := read(t, line+"\r\n"); len(got) != 1 || got[0] != want {
			t.Errorf("%q read as %+v, want %+v", line, got, want)
		}
	}
}
