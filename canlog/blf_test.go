package canlog_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

func TestBLFOfPythonCANIsRead(t *testing.T) {
	for name, skipped := range map[string]uint64{"zlib": 0, "plain": 0, "small_containers": 0, "marker": 1} {
		r := canlog.NewReaderWith(strings.NewReader(logFile(t, "python_can_"+name+".blf")), name, utc(canlog.BLF))
		i, want := 0, goldenEntries(t)
		for got, err := range r.Entries() {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := want[i]
			if want.Message.Flags&hub.Error != 0 {
				want.Dir = canlog.DirUnknown
			}
			// python-can puts a float of seconds into the file.
			if d := got.Message.Timestamp - want.Message.Timestamp; d < -1000 || d > 1000 {
				t.Errorf("%s: frame %d is %d ns off", name, i, d)
			}
			got.Message.Timestamp = want.Message.Timestamp
			if got != want {
				t.Errorf("%s: frame %d: %s\nwant     %s", name, i, show(got), show(want))
			}
			i++
		}
		if i != len(want) || r.Skipped() != skipped {
			t.Errorf("%s: %d entries, %d objects skipped, want %d and %d", name, i, r.Skipped(), len(want), skipped)
		}
	}
}

// blfFile is a file with the header of a golden one and containers.
func blfFile(t testing.TB, containers ...[]byte) string {
	return logFile(t, "python_can_zlib.blf")[:144] + string(bytes.Join(containers, nil))
}

// container returns contents as a container with a method, that tells size.
func container(method uint16, size int, contents []byte) []byte {
	b := []byte("LOBJ\x10\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, uint32(32+len(contents)))
	b = binary.LittleEndian.AppendUint32(b, 10)
	b = binary.LittleEndian.AppendUint16(b, method)
	b = append(b, make([]byte, 6)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = append(b, make([]byte, 4)...)
	b = append(b, contents...)
	return append(b, make([]byte, len(contents)%4)...)
}

func plain(contents []byte) []byte { return container(0, len(contents), contents) }

func zipped(size int, contents []byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(contents)
	w.Close()
	return container(2, size, z.Bytes())
}

// plainBLF unpacks the containers of a file as far as that goes.
func plainBLF(log []byte) []byte {
	if len(log) < 144 {
		return log
	}
	out, rest := slices.Clone(log[:144]), log[144:]
	for len(rest) > 32 {
		size := int(binary.LittleEndian.Uint32(rest[8:]))
		if size < 32 || size > len(rest) {
			break
		}
		z, err := zlib.NewReader(bytes.NewReader(rest[32:size]))
		if err != nil {
			break
		}
		contents, _ := io.ReadAll(z)
		out = append(out, plain(contents)...)
		rest = rest[min(len(rest), size+size%4):]
	}
	return out
}

// message returns a CAN_MESSAGE object with an identifier.
func message(id uint32) []byte {
	b := []byte("LOBJ\x20\x00\x01\x00\x30\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00")
	b = append(b, make([]byte, 8)...)
	b = append(b, 1, 0, 0, 2)
	b = binary.LittleEndian.AppendUint32(b, id)
	return append(b, 1, 2, 0, 0, 0, 0, 0, 0)
}

// changed returns b with the byte at i set.
func changed(b []byte, i int, v ...byte) []byte {
	b = slices.Clone(b)
	copy(b[i:], v)
	return b
}

// readBLF returns how many entries a file has, and its errors.
func readBLF(t *testing.T, log string) (n int, errs []error) {
	t.Helper()
	for _, err := range canlog.NewReaderWith(strings.NewReader(log), "a.blf", utc(canlog.BLF)).Entries() {
		if err == nil {
			n++
			continue
		}
		checkShown(t, err)
		var oe *canlog.ObjectError
		if !errors.As(err, &oe) || oe.File != "a.blf" {
			t.Errorf("error %v, want an ObjectError with the file", err)
		}
		errs = append(errs, err)
	}
	return n, errs
}

func TestBLFErrorsTellWhereTheObjectIs(t *testing.T) {
	good := message(1)
	three := func(bad []byte) []byte { return slices.Concat(good, bad, message(2)) }
	fd64 := func(dlc, valid byte) []byte {
		b := changed(good, 12, 101)
		b = changed(b, 8, 32+40+4)
		b = append(b[:32], make([]byte, 44)...)
		return changed(changed(b, 32, 1, dlc, valid), 44, 0, 0x10)
	}
	for _, test := range []struct {
		name, log, reason string
		n                 int
		offset, inner     int64
	}{
		{"standard identifier", blfFile(t, plain(three(message(0x800)))), "11 bits", 2, 144, 48},
		{"DLC", blfFile(t, plain(three(changed(good, 35, 16)))), "DLC 16", 2, 144, 48},
		{"short object", blfFile(t, plain(three(changed(good, 8, 44)[:44]))), "44 bytes, want 48", 2, 144, 48},
		{"long object", blfFile(t, plain(three(append(changed(good, 8, 0, 8), make([]byte, 2000)...)))), "2048 bytes", 2, 144, 48},
		{"object header", blfFile(t, plain(three(changed(good, 4, 200)))), "a header of 200", 2, 144, 48},
		{"time", blfFile(t, plain(three(changed(good, 31, 255)))), "out of range", 2, 144, 48},
		{"10 us time", blfFile(t, plain(three(changed(changed(good, 16, 1), 30, 255)))), "out of range", 2, 144, 48},
		{"FD64 length", blfFile(t, plain(three(fd64(9, 13)))), "13 bytes of data with DLC 9", 2, 144, 48},
		{"second container", blfFile(t, plain(good), zipped(48, message(0x800)), plain(good)), "11 bits", 2, 144 + 32 + 48, 0},
		// These end the reading.
		{"size 0", blfFile(t, plain(three(changed(good, 8, 0)))), "0 bytes, less", 1, 144, 48},
		{"no mark", blfFile(t, plain(three(changed(good, 0, 'X')))), "no object", 1, 144, 48},
		{"cut object", blfFile(t, plain(slices.Concat(good, good[:40]))), "ends in the middle", 1, 144, 48},
		{"cut mark", blfFile(t, plain(slices.Concat(good, good[:3]))), "ends in the middle", 1, 144, 48},
		{"claims 4 GB", blfFile(t, plain(three(changed(good, 8, 255, 255, 255, 255)))), "4294967295 bytes", 1, 144, 48},
		{"unknown object of 4 GB", blfFile(t, plain(three(changed(changed(good, 12, 99), 8, 255, 255, 255, 255)))), "ends in the middle", 1, 144, 144},
		{"container too short", blfFile(t, plain(good), changed(plain(good), 8, 20)), "a container of 20 bytes", 1, 224, -1},
		{"container of no size", blfFile(t, plain(good), changed(plain(good), 8, 0)), "0 bytes, less", 1, 224, -1},
		{"container of 4 GB", blfFile(t, plain(good), changed(plain(good), 8, 255, 255, 255, 255)), "ends in the middle", 2, 224, -1},
		{"container tells more", blfFile(t, plain(good), container(0, 49, good)), "1 bytes less", 2, 224, -1},
		{"container tells less", blfFile(t, plain(good), zipped(20, good)), "more than the 20 bytes", 1, 224, -1},
		{"bad checksum", blfFile(t, func() []byte { b := zipped(48, good); return changed(b, len(b)-4, 1, 2, 3, 4) }()), "invalid checksum", 1, 144, -1},
		{"cut container", blfFile(t, plain(good))[:144+32+47], "ends in the middle", 0, 144, -1},
		{"no BLF", "(1.0) can0 123#", "no BLF file", 0, 0, -1},
		{"header size", blfFile(t)[:4] + "\x10" + blfFile(t)[5:], "a header of 16 bytes", 0, 0, -1},
		{"header of 4 GB", blfFile(t)[:4] + "\xff\xff\xff\xff" + blfFile(t)[8:], "ends in the middle", 0, 0, -1},
		{"start", blfFile(t)[:42] + "\x0d" + blfFile(t, plain(good))[43:], "the start is no time", 1, 40, -1},
	} {
		n, errs := readBLF(t, test.log)
		if n != test.n {
			t.Errorf("%s: %d entries, want %d", test.name, n, test.n)
		}
		var oe *canlog.ObjectError
		if len(errs) == 0 || !errors.As(errs[0], &oe) || !strings.Contains(oe.Reason, test.reason) ||
			oe.Offset != test.offset || oe.Inner != test.inner {
			t.Errorf("%s: errors %v, want %q at %d, %d", test.name, errs, test.reason, test.offset, test.inner)
		}
	}
}

func TestBLFObjectsMayLieInManyContainers(t *testing.T) {
	all := slices.Concat(message(1), message(2), message(3))
	for _, part := range []int{1, 7, 47, 48, 49} {
		var containers [][]byte
		for c := range slices.Chunk(all, part) {
			containers = append(containers, zipped(len(c), c), plain(nil))
		}
		if n, errs := readBLF(t, blfFile(t, containers...)); n != 3 || len(errs) > 0 {
			t.Errorf("containers of %d bytes: %d entries, errors %v, want 3 and none", part, n, errs)
		}
	}
}

// Ten megabytes of zeros, with a claim of as many, need no memory.
func TestBLFContainersAreUnpackedInBoundedMemory(t *testing.T) {
	const size = 10 << 20
	bomb := slices.Concat(changed(changed(message(1), 12, 99), 8, 0, 0, 0xA0, 0), make([]byte, size))
	log := blfFile(t, zipped(48, message(1)), zipped(len(bomb), bomb))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, errs := readBLF(t, log)
	runtime.ReadMemStats(&after)
	if n != 1 || len(errs) > 1 {
		t.Errorf("%d entries, errors %v", n, errs)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d bytes allocated for contents of %d", grown, size)
	}
}

func TestBLFHeaderTellsSizesAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.blf")
	w, err := canlog.Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := errors.Join(w.Write(entry(when+int64(i)*1e9, "can0", hub.Std(1))), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size, unpacked := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	if count := binary.LittleEndian.Uint32(b[32:]); size != uint64(len(b)) || unpacked != 144+5*(32+48) || count != 5 {
		t.Errorf("size %d of %d, unpacked %d, %d objects", size, len(b), unpacked, count)
	}
	if start, stop := b[40:56], b[56:72]; stop[12] != start[12]+4 || stop[14] != start[14] {
		t.Errorf("start %x, stop %x, want four seconds between", start, stop)
	}
}

func TestBLFIsNotCompressedAgain(t *testing.T) {
	if _, err := canlog.Create(filepath.Join(t.TempDir(), "a.blf.gz"), nil); err == nil || !strings.Contains(err.Error(), "without .gz") {
		t.Errorf("error %v, want one about .gz", err)
	}
}

// broken is a reader that fails with err behind a log.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestBLFReadErrorsAreToldAsSuch(t *testing.T) {
	bad := errors.New("the disk is broken")
	log := blfFile(t, plain(message(1)), zipped(48, message(2)), plain(message(3)))
	for _, n := range []int{10, 150, 144 + 32 + 20, 144 + 80 + 40, len(log) - 10, len(log)} {
		var last error
		for _, err := range canlog.NewReaderWith(broken{strings.NewReader(log[:n]), bad}, "a.blf", utc(canlog.BLF)).Entries() {
			last = err
		}
		var oe *canlog.ObjectError
		if !errors.Is(last, bad) || errors.As(last, &oe) || !strings.Contains(last.Error(), "a.blf") {
			t.Errorf("%d bytes: error %v, want that of the disk with the file", n, last)
		}
	}
}
