package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
)

const (
	echoBuffer      = 1024
	echoLargeBuffer = 16 * 1024
	streamChunk     = 64 * 1024
)

// serve serves until stdin closes. Go sets TCP_NODELAY by itself.
func serve(service string) error {
	var handle func(net.Conn)
	switch service {
	case "echo":
		handle = func(socket net.Conn) { echo(socket, echoBuffer) }
	case "echo-large":
		handle = func(socket net.Conn) { echo(socket, echoLargeBuffer) }
	case "stream":
		chunk := pattern(streamChunk)
		handle = func(socket net.Conn) { stream(socket, chunk) }
	default:
		return fmt.Errorf("no service %q", service)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := answer(map[string]int{"port": port}); err != nil {
		return err
	}
	go answerCommands()
	for {
		if socket, err := listener.Accept(); err == nil {
			go handle(socket)
		}
	}
}

func echo(socket net.Conn, size int) {
	defer socket.Close()
	buffer := make([]byte, size)
	for {
		count, err := socket.Read(buffer)
		if err != nil {
			return
		}
		if _, err := socket.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func stream(socket net.Conn, chunk []byte) {
	defer socket.Close()
	var request [8]byte
	for {
		if _, err := io.ReadFull(socket, request[:]); err != nil {
			return
		}
		for left := binary.LittleEndian.Uint64(request[:]); left > 0; {
			part := min(left, uint64(len(chunk)))
			if _, err := socket.Write(chunk[:part]); err != nil {
				return
			}
			left -= part
		}
	}
}

// pattern makes the same bytes as the function of this name in benches/src/server.rs.
func pattern(size int) []byte {
	bytes := make([]byte, size)
	for index := range bytes {
		bytes[index] = byte(index*7 + index/256)
	}
	return bytes
}

// answerCommands answers each line of stdin with the usage; there is no other command.
func answerCommands() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		now, err := usageNow()
		if err == nil {
			err = answer(now)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "green-bench-go:", err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}
