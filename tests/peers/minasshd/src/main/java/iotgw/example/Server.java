package iotgw.example;

import java.io.IOException;
import java.nio.channels.Channel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.CopyOption;
import java.nio.file.FileSystemException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.sshd.common.file.virtualfs.VirtualFileSystemFactory;
import org.apache.sshd.common.keyprovider.FileKeyPairProvider;
import org.apache.sshd.common.cipher.BuiltinCiphers;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.config.keys.AuthorizedKeysAuthenticator;
import org.apache.sshd.sftp.server.FileHandle;
import org.apache.sshd.sftp.server.SftpFileSystemAccessor;
import org.apache.sshd.sftp.server.SftpSubsystemFactory;
import org.apache.sshd.sftp.server.SftpSubsystemProxy;

/** An SFTP server on Apache MINA SSHD that lacks what it is told to: port, root, host key, authorized keys, lacks, password. */
public class Server {
    static final Set<String> LACKS = new HashSet<>();

    static class Limited implements SftpFileSystemAccessor {
        @Override
        public SeekableByteChannel openFile(SftpSubsystemProxy subsystem, FileHandle handle, Path file, String name,
                Set<? extends OpenOption> options, FileAttribute<?>... attributes) throws IOException {
            String last = file.getFileName().toString();
            boolean writes = options.contains(StandardOpenOption.WRITE);
            if (last.startsWith(".") && LACKS.contains("dot names") || writes && LACKS.contains("writing")
                    || file.toString().startsWith("/bad/")) {
                throw new AccessDeniedException(file.toString());
            }
            if (writes && LACKS.contains("space")) {
                throw new FileSystemException(file.toString(), null, "No space left on device");
            }
            return SftpFileSystemAccessor.super.openFile(subsystem, handle, file, name, options, attributes);
        }

        @Override
        public void syncFileData(SftpSubsystemProxy subsystem, FileHandle handle, Path file, String name, Channel channel)
                throws IOException {
            if (LACKS.contains("fsync")) {
                throw new UnsupportedOperationException("fsync");
            }
            SftpFileSystemAccessor.super.syncFileData(subsystem, handle, file, name, channel);
        }

        @Override
        public void renameFile(SftpSubsystemProxy subsystem, Path from, Path to, Collection<CopyOption> options)
                throws IOException {
            if (LACKS.contains("rename")
                    || LACKS.contains("posix-rename") && options.contains(StandardCopyOption.REPLACE_EXISTING)) {
                throw new UnsupportedOperationException("rename");
            }
            if (LACKS.contains("rename denied")) {
                throw new AccessDeniedException(from.toString());
            }
            SftpFileSystemAccessor.super.renameFile(subsystem, from, to, options);
        }

        @Override
        public void removeFile(SftpSubsystemProxy subsystem, Path path, boolean isDirectory) throws IOException {
            if (LACKS.contains("remove")) {
                throw new UnsupportedOperationException("remove");
            }
            SftpFileSystemAccessor.super.removeFile(subsystem, path, isDirectory);
        }

        @Override
        public void createDirectory(SftpSubsystemProxy subsystem, Path path) throws IOException {
            if (LACKS.contains("mkdir")) {
                throw new AccessDeniedException(path.toString());
            }
            SftpFileSystemAccessor.super.createDirectory(subsystem, path);
        }
    }

    public static void main(String[] args) throws Exception {
        LACKS.addAll(Arrays.asList(args[4].split(",")));
        SshServer server = SshServer.setUpDefaultServer();
        server.setHost("127.0.0.1");
        server.setPort(Integer.parseInt(args[0]));
        server.setFileSystemFactory(new VirtualFileSystemFactory(Paths.get(args[1])));
        server.setKeyPairProvider(new FileKeyPairProvider(Paths.get(args[2])));
        server.setPublickeyAuthenticator(new AuthorizedKeysAuthenticator(Paths.get(args[3])));
        if (args.length > 5) {
            server.setPasswordAuthenticator((user, password, session) -> password.equals(args[5]));
        }
        if (LACKS.contains("all but chacha")) {
            server.setCipherFactories(List.of(BuiltinCiphers.cc20p1305_openssh));
        }
        if (LACKS.contains("old keys")) {
            CoreModuleProperties.REKEY_BYTES_LIMIT.set(server, 20000L);
        }
        if (LACKS.contains("sessions")) {
            CoreModuleProperties.MAX_CONCURRENT_SESSIONS.set(server, 1);
        }
        server.setSubsystemFactories(
            List.of(new SftpSubsystemFactory.Builder().withFileSystemAccessor(new Limited()).build()));
        server.start();
        Thread.currentThread().join();
    }
}
