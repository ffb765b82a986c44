// An SFTP server on golang.org/x/crypto/ssh and github.com/pkg/sftp that lacks what it is told to.
//
//	gosftp '{"port": 1234, "root": "/files", "hostKey": "…", "authorized": "…", "lacks": ["rename"]}'
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

type settings struct {
	Port        int      `json:"port"`
	Root        string   `json:"root"`
	HostKey     string   `json:"hostKey"`
	Authorized  string   `json:"authorized"`
	Password    string   `json:"password"`
	Lacks       []string `json:"lacks"`
	Refused     []string `json:"refused"`
	Kex         []string `json:"kex"`
	Ciphers     []string `json:"ciphers"`
	MACs        []string `json:"macs"`
	RekeyBytes  uint64   `json:"rekeyBytes"`
	Connections int      `json:"connections"`
}

type files struct{ settings }

func (f files) lacks(what string) bool   { return slices.Contains(f.Lacks, what) }
func (f files) local(path string) string { return filepath.Join(f.Root, filepath.Clean("/"+path)) }

type full struct{ *os.File }

func (full) WriteAt([]byte, int64) (int, error) { return 0, errors.New("no space left on device") }

func (f files) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if f.lacks("dot names") && strings.HasPrefix(filepath.Base(r.Filepath), ".") || f.lacks("writing") {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	for _, folder := range f.Refused {
		if strings.HasPrefix(r.Filepath, "/"+folder+"/") {
			return nil, sftp.ErrSSHFxPermissionDenied
		}
	}
	file, err := os.OpenFile(f.local(r.Filepath), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err == nil && f.lacks("space") {
		return full{file}, nil
	}
	return file, err
}

func (f files) Fileread(r *sftp.Request) (io.ReaderAt, error) { return os.Open(f.local(r.Filepath)) }

func (f files) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Rename":
		if f.lacks("rename") {
			return sftp.ErrSSHFxOpUnsupported
		}
		if _, err := os.Lstat(f.local(r.Target)); err == nil {
			return sftp.ErrSSHFxFailure
		}
		return os.Rename(f.local(r.Filepath), f.local(r.Target))
	case "Remove":
		if f.lacks("remove") {
			return sftp.ErrSSHFxOpUnsupported
		}
		return os.Remove(f.local(r.Filepath))
	case "Mkdir":
		if f.lacks("mkdir") {
			return sftp.ErrSSHFxPermissionDenied
		}
		return os.Mkdir(f.local(r.Filepath), 0o755)
	}
	return sftp.ErrSSHFxOpUnsupported
}

// renaming also has posix-rename@openssh.com.
type renaming struct{ files }

func (r renaming) PosixRename(request *sftp.Request) error {
	return os.Rename(r.local(request.Filepath), r.local(request.Target))
}

func (f files) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	return nil, sftp.ErrSSHFxOpUnsupported
}

func serve(connection net.Conn, config *ssh.ServerConfig, f files) {
	defer connection.Close()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		log.Print(err)
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range requests {
				_ = request.Reply(request.Type == "subsystem" && string(request.Payload[4:]) == "sftp", nil)
			}
		}()
		var commands sftp.FileCmder = renaming{f}
		if f.lacks("posix-rename") || f.lacks("rename") {
			commands = f
		}
		handlers := sftp.Handlers{FileGet: f, FilePut: f, FileCmd: commands, FileList: f}
		if err := sftp.NewRequestServer(channel, handlers).Serve(); err != nil {
			log.Print(err)
		}
	}
}

func main() {
	var f files
	if text, err := os.ReadFile(os.Args[1]); err != nil {
		log.Fatal(err)
	} else if err := json.Unmarshal(text, &f.settings); err != nil {
		log.Fatal(err)
	}
	config := &ssh.ServerConfig{}
	config.KeyExchanges, config.Ciphers, config.MACs, config.RekeyThreshold = f.Kex, f.Ciphers, f.MACs, f.RekeyBytes
	if f.Password != "" {
		config.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) == f.Password {
				return nil, nil
			}
			return nil, errors.New("wrong")
		}
	}
	text, err := os.ReadFile(f.Authorized)
	if err != nil {
		log.Fatal(err)
	}
	allowed, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		log.Fatal(err)
	}
	config.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) == string(allowed.Marshal()) {
			return nil, nil
		}
		return nil, errors.New("unknown")
	}
	if text, err = os.ReadFile(f.HostKey); err != nil {
		log.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		log.Fatal(err)
	}
	config.AddHostKey(key)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.Port)))
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection, config, f)
	}
}
